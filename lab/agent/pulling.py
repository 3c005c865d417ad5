"""Images that are there, or are waited for as a kubelet waits for them."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from lab.agent.backoff import Backoff
from lab.agent.context import Context
from lab.agent.images import Image
from lab.agent.status import ContainerState


class Pulled(Protocol):
    """What a pull needs of a container."""

    spec: dict[str, Any]
    context: Context
    state: ContainerState

    def event(self, kind: str, reason: str, message: str) -> None:
        """Record an event about this container."""

    def wait_state(self, reason: str, message: str) -> None:
        """Show why it waits."""


async def pull(container: Pulled, delays: Backoff) -> Image:
    """The container's image, once it is there; while it is not, the states and events of a failing pull."""
    while True:
        reference = container.spec["image"]
        image = container.context.catalog.find(reference)
        if image is not None:
            container.state.image_id = image.digest_id(container.spec)
            return image
        text = (
            f'failed to pull and unpack image "{reference}": failed to resolve reference "{reference}": '
            f"{reference}: not found"
        )
        container.event("Normal", "Pulling", f'Pulling image "{reference}"')
        container.event("Warning", "Failed", f'Failed to pull image "{reference}": {text}')
        container.event("Warning", "Failed", "Error: ErrImagePull")
        container.wait_state("ErrImagePull", text)
        delay_s = delays.next_s()
        await asyncio.sleep(min(delay_s, 1.0) / 4)  # so that both states are to be seen
        container.event("Normal", "BackOff", f'Back-off pulling image "{reference}"')
        container.event("Warning", "Failed", "Error: ImagePullBackOff")
        container.wait_state("ImagePullBackOff", f'Back-off pulling image "{reference}": ErrImagePull: {text}')
        await asyncio.sleep(delay_s)
