"""The bundled demo city: footage that is ours, composed from rendered art."""
