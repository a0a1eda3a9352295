"""GStreamer's RTSP server with clips of a folder: run with the system's Python, which has its bindings.

/usr/bin/python3 gstreamer_server.py FOLDER [USER PASSWORD]
Prints the port once it listens. A clip `street.mp4` is at /street (H.264) or /street265 (H.265), in several ways:
    …/plain   parameter sets in the stream     …/outside   in the description only
    …/small   400 bytes a packet               …/together  small units in one packet
Without clips: /jpeg, which our client does not speak.
"""

import sys
from pathlib import Path

import gi  # type: ignore[import-not-found]  # the system's Python has it

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # type: ignore[import-not-found]  # noqa: E402  # chosen above

WAYS = {
    "plain": ("config-interval=-1", ""),
    "outside": ("", ""),
    "small": ("config-interval=-1", "mtu=400"),
    "together": ("config-interval=-1", "aggregate-mode=zero-latency"),
}


def main() -> None:
    folder, *login = sys.argv[1:]
    Gst.init(None)
    server = GstRtspServer.RTSPServer.new()
    server.set_address("127.0.0.1")
    server.set_service("0")
    mounts = server.get_mount_points()
    auth, token = _login(*login) if login else (None, None)
    server.set_auth(auth)
    for path in sorted(Path(folder).glob("*.mp4")):
        kind = "h265" if path.stem.endswith("265") else "h264"
        for way, (parse, pay) in WAYS.items():
            line = f"( filesrc location={path} ! qtdemux ! {kind}parse {parse} ! rtp{kind}pay name=pay0 pt=96 {pay} )"
            _mount(mounts, f"/{path.stem}/{way}", line, token)
    raw = "video/x-raw,format=I420,width=320,height=192,framerate=10/1"
    _mount(mounts, "/jpeg", f"( videotestsrc is-live=true ! {raw} ! jpegenc ! rtpjpegpay name=pay0 )", token)
    server.attach(None)
    print(server.get_bound_port(), flush=True)
    GLib.MainLoop().run()


def _mount(mounts, path, line, token) -> None:
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(line)
    if token is not None:
        allowed = GstRtspServer.RTSPPermissions()
        allowed.add_permission_for_role("watcher", "media.factory.access", True)
        allowed.add_permission_for_role("watcher", "media.factory.construct", True)
        factory.set_permissions(allowed)
    mounts.add_factory(path, factory)


def _login(user, password):
    auth = GstRtspServer.RTSPAuth()
    auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "watcher")
    auth.add_digest(user, password, token)
    return auth, token


main()
