"""What a running server's spoofing conditions let pass and refuse, told through HTTP.

    python -m benchmarks.accuracy.spoofing_http --url http://127.0.0.1:8000 --app-key KEY \
        --live nuaa/ClientRaw --attacks nuaa/ImposterRaw

LIVE and ATTACKS hold a folder per person. The largest face of each picture counts; a picture in
which no face is found is counted apart. People are halved as `benchmarks.accuracy.spoofing` halves
them: `chosen` had a say in the thresholds, `others` had none.
"""

import argparse
import base64
import json
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
from tqdm import tqdm

from benchmarks.accuracy.spoofing import Photo, photos_in

CONDITIONS = ("weak", "balanced", "strict")


# Rates by half of the people and by condition.
Report = dict[str, dict[str, dict[str, float]]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was said of a photo's largest face; None where no face was found."""

    photo: Photo
    condition: str
    spoofing: bool | None


class Server:
    """Asks the spoofing route of v1.0."""

    def __init__(self, url: str, app_key: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=60, trust_env=False)
        self._path = f"/nhn-face-reco/v1.0/appkeys/{app_key}/spoofing"

    def judge(self, photo: Photo) -> list[Verdict]:
        """The photo under every condition. Ends the run when the server refuses."""
        picture = base64.b64encode(photo.path.read_bytes()).decode()
        return [Verdict(photo, name, self._told(picture, name)) for name in CONDITIONS]

    def _told(self, picture: str, condition: str) -> bool | None:
        body = {"image": {"bytes": picture}, "spoofingCondition": condition}
        answer = self._client.post(self._path, json=body)
        if answer.json()["header"]["resultCode"] != 0:
            raise SystemExit(f"refused: {answer.headers.get('X-Error-Detail')}")
        faces = answer.json()["data"]["faceDetails"]
        return faces[0]["spoofing"] if faces else None


def report(verdicts: Iterable[Verdict], people: list[str]) -> Report:
    """Error rates of each half of the people under each condition."""
    seen = [v for v in verdicts if v.spoofing is not None]
    halves = {"chosen": people[::2], "others": people[1::2]}
    return {
        half: {
            name: rates([v for v in seen if v.condition == name and v.photo.person in members])
            for name in CONDITIONS
        }
        for half, members in halves.items()
    }


def rates(verdicts: list[Verdict]) -> dict[str, float]:
    """Attacks taken for live and live faces taken for attacks, as shares 0..1."""
    live = [bool(v.spoofing) for v in verdicts if v.photo.live]
    attacks = [bool(v.spoofing) for v in verdicts if not v.photo.live]
    return {
        "live": len(live),
        "attacks": len(attacks),
        "apcer": round(1 - sum(attacks) / len(attacks), 4),
        "bpcer": round(sum(live) / len(live), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--app-key", required=True)
    parser.add_argument("--live", type=Path, required=True)
    parser.add_argument("--attacks", type=Path, required=True)
    parser.add_argument("--clients", type=int, default=2)
    arguments = parser.parse_args()
    photos = [*photos_in(arguments.live, live=True), *photos_in(arguments.attacks, live=False)]
    server = Server(arguments.url, arguments.app_key)
    with ThreadPoolExecutor(arguments.clients) as pool:
        judged = list(tqdm(pool.map(server.judge, photos), total=len(photos), file=sys.stderr))
    verdicts = [verdict for three in judged for verdict in three]
    people = sorted({photo.person for photo in photos})
    lost = sum(verdict.spoofing is None for verdict in verdicts) // len(CONDITIONS)
    print(json.dumps({"not_found": lost, **report(verdicts, people)}, indent=1))


if __name__ == "__main__":
    main()
