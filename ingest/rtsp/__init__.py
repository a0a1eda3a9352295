"""RTSP without a codec: sessions opened, packets numbered and put together, nothing decoded."""
