"""Glance in one process: makes its tables and serves. Argument: the folder with glance-api.conf."""

import os
import sys
import traceback
import warnings

folder = sys.argv[1]
configuration = ["--config-file", f"{folder}/glance-api.conf"]
warnings.simplefilter("ignore")

from glance.cmd import api  # first of all: it replaces parts of Python's library

if not os.path.exists(f"{folder}/glance.db"):
    child = os.fork()
    if child == 0:
        from glance.cmd import manage

        sys.argv = ["glance-manage", *configuration, "db_sync"]
        try:
            os._exit(manage.main() or 0)
        except BaseException:
            traceback.print_exc()
        os._exit(1)
    if os.waitpid(child, 0)[1] != 0:
        sys.exit("the tables could not be made")

sys.argv = ["glance-api", *configuration]
sys.exit(api.main())
