"""The engine: a lean Llama/Qwen2-family decoder that batches continuously.

It knows token ids and tensors, neither text nor Django. One thread owns it: `submit`, `cancel` and
`step` are called between steps by that thread (inference.serving does so).

    engine = Engine.load(folder, EngineConfig())
    engine.submit(Request(id="a", prompt_ids=[1, 2, 3]))
    while engine.has_work:
        for delta in engine.step(): ...
"""

from inference.engine.config import EngineConfig
from inference.engine.engine import Engine
from inference.engine.errors import ConfigRefused, EngineFault, ModelRefused, RequestRefused
from inference.engine.request import Delta, Request, Sampling, Usage

__all__ = [
    "ConfigRefused",
    "Delta",
    "Engine",
    "EngineConfig",
    "EngineFault",
    "ModelRefused",
    "Request",
    "RequestRefused",
    "Sampling",
    "Usage",
]
