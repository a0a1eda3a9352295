"""Video quality diagnosis (视频质量诊断): whether a look can be judged by, and what else is wrong with its picture."""

from ingest.quality.diagnosis import Diagnosis, Usability
from ingest.quality.sight import Sight, sight_of

__all__ = ["Diagnosis", "Sight", "Usability", "sight_of"]
