"""`facereco` with decoders that obey faults: `python -m tests.integration.server.faulty serve`."""

from functools import partial

from app import main as composition
from app.cli.__main__ import main
from app.intake.decoders import Decoders
from tests.integration.intake import faulty_decoder

if __name__ == "__main__":
    vars(composition)["Decoders"] = partial(Decoders, program=faulty_decoder.__name__)
    main()
