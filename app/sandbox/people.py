"""Who lives in the sandbox from its first day on, with ids that stay the same over resets and restarts."""

from app.sandbox.records import Account, Person, PlatformName

ADA = Person(id="10220000000000001", name="Ada Lumen")
BO = Person(id="10220000000000002", name="Bo Marlow")
CLEO = Person(id="10220000000000003", name="Cleo Park")

PEOPLE = (ADA, BO, CLEO)


def _account(owner: Person, platform: PlatformName, account_id: str, handle: str, name: str) -> Account:
    return Account(id=account_id, platform=platform, handle=handle, name=name, owner=owner.id)


ACCOUNTS = (
    _account(ADA, "instagram", "17841400000000001", "ada.lumen", "Ada Lumen"),
    _account(ADA, "facebook", "110000000000001", "lumencoffee", "Lumen Coffee"),
    _account(ADA, "facebook", "110000000000002", "lumenroastery", "Lumen Roastery"),
    _account(ADA, "youtube", "UCsandboxAdaLumen0000001", "adalumen", "Ada Lumen"),
    _account(BO, "instagram", "17841400000000002", "bo.marlow.studio", "Marlow Studio"),
    _account(BO, "facebook", "110000000000003", "marlowstudio", "Marlow Studio"),
    _account(BO, "youtube", "UCsandboxBoMarlow0000002", "marlowstudio", "Marlow Studio"),
    _account(CLEO, "instagram", "17841400000000003", "cleo.outdoors", "Cleo Outdoors"),
    _account(CLEO, "facebook", "110000000000004", "cleooutdoors", "Cleo Outdoors"),
    _account(CLEO, "youtube", "UCsandboxCleoPark0000003", "cleooutdoors", "Cleo Outdoors"),
)
