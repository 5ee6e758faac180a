"""A tenant, a group and the use cases around them, without HTTP."""

from dataclasses import dataclass, field

from app.api.services import Services
from app.domain.values import Base64Image, ImageLimits, Tenant, Wanted
from app.services.register import RegisterRequest, Registration
from app.services.search import Criteria, ImageMatches
from tests.fakes import Drawn, House, fake_services

TENANT = Tenant(1, "shop", "v1.0")
LIMITS = ImageLimits()
EVERYTHING = Wanted(orientation=True, mask=True)


@dataclass(slots=True)
class Rooms:
    """The use cases in a house of fakes, and the shortest way to call them."""

    house: House = field(default_factory=House)
    services: Services = field(init=False)

    def __post_init__(self) -> None:
        self.services = fake_services(self.house)

    async def group(self, name: str = "staff") -> None:
        await self.services.groups.create(TENANT, name)

    async def register(
        self, *faces: Drawn, limit: int = 20, wanted: Wanted = EVERYTHING, group: str = "staff"
    ) -> Registration:
        """Register the faces of a picture that shows these."""
        request = RegisterRequest(self.picture(*faces), limit, None, wanted)
        return await self.services.register(TENANT, group, request, LIMITS)

    async def search(
        self, *faces: Drawn, limit: int = 20, threshold: float = 1.0, group: str = "staff"
    ) -> ImageMatches:
        """Search by a picture that shows these faces."""
        return await self.services.search.by_image(
            TENANT,
            group,
            self.picture(*faces),
            LIMITS,
            wanted=EVERYTHING,
            criteria=Criteria(limit, threshold),
        )

    def picture(self, *faces: Drawn) -> Base64Image:
        """A new picture of these faces."""
        name = f"picture-{len(self.house.images.known)}"
        return Base64Image(self.house.show(name, *faces))
