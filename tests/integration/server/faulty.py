"""`facereco` with decoders that obey faults: `python -m tests.integration.server.faulty serve`."""

from functools import partial

from app import worker
from app.cli.__main__ import main
from tests.integration.intake import faulty_decoder

if __name__ == "__main__":
    vars(worker)["WorkerConfig"] = partial(worker.WorkerConfig, decoder=faulty_decoder.__name__)
    main()
