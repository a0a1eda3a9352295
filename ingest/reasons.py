"""Why a camera cannot be seen, in the words operators read: one table, English and Chinese."""

from __future__ import annotations

from dataclasses import dataclass

from citybrain.domain.camera import Text
from citybrain.domain.detection import Finding, Usable


@dataclass(frozen=True, slots=True)
class Reason:
    """`refuses`: the camera answers and says no, so that a person has to change something before it can work."""

    text: Text
    refuses: bool = False


REASONS: dict[str, Reason] = {
    # the address
    "unresolvable": Reason(Text("域名无法解析", "unresolvable")),
    "refused": Reason(Text("连接被拒绝", "refused")),
    "unreachable": Reason(Text("网络不可达", "unreachable")),
    # what it answers
    "wrong password": Reason(Text("用户名或密码错误", "wrong password"), refuses=True),
    "forbidden": Reason(Text("无访问权限", "forbidden"), refuses=True),
    "not found": Reason(Text("地址不存在", "not found"), refuses=True),
    "rejected": Reason(Text("请求被拒绝", "rejected"), refuses=True),
    "unavailable": Reason(Text("设备暂不可用", "unavailable")),
    "garbage": Reason(Text("返回数据无法识别", "garbage")),
    "no video": Reason(Text("没有视频流", "no video"), refuses=True),
    # what it sends
    "silent": Reason(Text("无数据", "silent")),
    "no keyframe": Reason(Text("无关键帧", "no keyframe")),
    "no picture": Reason(Text("画面无法解码", "no picture")),
    "codec changed": Reason(Text("编码格式已改变", "codec changed")),
    "ended": Reason(Text("视频流结束", "ended")),
    "broken": Reason(Text("连接中断", "broken")),
    # files and folders
    "no such file": Reason(Text("文件不存在", "no such file"), refuses=True),
    "unreadable": Reason(Text("文件无法读取", "unreadable"), refuses=True),
    # our side
    "decoder crash": Reason(Text("解码器多次崩溃，暂停一分钟", "decoder crash")),
    "overloaded": Reason(Text("算力不足，画面滞后", "overloaded")),
    "no such detector": Reason(Text("本机没有该检测器", "no such detector"), refuses=True),
    "secret not set": Reason(Text("本机未设置该摄像机的密码变量", "secret not set"), refuses=True),
    "entry faulty": Reason(Text("登记信息有误", "entry faulty"), refuses=True),
    "source fault": Reason(Text("取流程序异常", "source fault")),
    # what the picture looks like (citybrain.domain.detection.Usable)
    "lost": Reason(Text("无画面", "lost")),
    "frozen": Reason(Text("画面冻结", "frozen")),
    "dark": Reason(Text("画面全黑", "dark")),
    "overexposed": Reason(Text("画面过曝", "overexposed")),
    "no signal": Reason(Text("设备无视频信号", "no signal")),
    "blurred": Reason(Text("画面模糊", "blurred")),
    "moved": Reason(Text("视角偏移", "moved")),
    "occluded": Reason(Text("镜头被遮挡", "occluded")),
    # what a person should see to although the camera still sees (citybrain.domain.detection.Finding)
    "colour cast": Reason(Text("画面偏色", "colour cast")),
    "partly overexposed": Reason(Text("局部过曝", "partly overexposed")),
    "partly occluded": Reason(Text("局部遮挡", "partly occluded")),
}


def chinese(reason: str) -> str:
    """The reason in Chinese; empty for none, and itself when the table does not know it."""
    return REASONS[reason].text.zh if reason in REASONS else reason


def reason_of(said: Usable | Finding) -> str:
    """A verdict or a finding as a reason of the table."""
    return said.value.replace("_", " ")


def refuses(reason: str) -> bool:
    """Whether a person has to change something before this camera can work."""
    return reason in REASONS and REASONS[reason].refuses
