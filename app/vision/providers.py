"""Which of ONNX Runtime's execution providers run the networks, by the names an operator uses."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from app.domain.errors import ConfigurationError

CPU = "CPUExecutionProvider"
_NAMES = {
    "cpu": CPU,
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
}
_EXTRAS = {"cuda": "gpu", "tensorrt": "gpu", "openvino": "openvino"}
# Requests run side by side on our own threads, so a run of a network takes one, as on the CPU.
_OPTIONS: dict[str, dict[str, str]] = {"openvino": {"device_type": "CPU", "num_of_threads": "1"}}


class Placed(Protocol):
    """A session that tells which providers it got."""

    def get_providers(self) -> list[str]: ...


@dataclass(frozen=True, slots=True)
class Providers:
    """Those wanted, best first; what the first cannot run goes to the next.

    `wanted` are names of this module ("cuda"). Nothing is left out in silence.
    """

    wanted: tuple[str, ...] = ("cpu",)

    @property
    def on_cpu(self) -> bool:
        """Whether ONNX Runtime's own kernels for the processor run everything."""
        return self.wanted == ("cpu",)

    def to_ask_for(self, installed: Sequence[str]) -> list[tuple[str, dict[str, Any]]]:
        """As a session is told. Raises `ConfigurationError` when one is not `installed`."""
        for name in self.wanted:
            if _NAMES.get(name) not in installed:
                raise ConfigurationError(_missing(name, installed))
        return [(_NAMES[name], dict(_OPTIONS.get(name, {}))) for name in self.wanted]

    def check(self, session: Placed) -> None:
        """Raises `ConfigurationError` when a session runs without what was wanted.

        ONNX Runtime goes on with the CPU where a provider's libraries or its device are missing.
        """
        got = session.get_providers()
        for name in self.wanted:
            if _NAMES[name] not in got:
                raise ConfigurationError(
                    f"FACERECO_PROVIDERS: {name} is installed, but its device or its libraries "
                    "cannot be used here"
                )


def _missing(name: str, installed: Sequence[str]) -> str:
    if name not in _NAMES:
        return f"FACERECO_PROVIDERS: no provider is named {name!r} (known: {', '.join(_NAMES)})"
    here = ", ".join(known for known, full in _NAMES.items() if full in installed)
    return (
        f"FACERECO_PROVIDERS: {name} is not installed; it comes with the extra "
        f"{_EXTRAS[name]} (installed: {here})"
    )
