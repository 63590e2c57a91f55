"""Glance in one process: makes its tables and serves. Argument: the folder with glance-api.conf."""

import gc
import os
import sys
import traceback
import warnings

folder = sys.argv[1]
configuration = ["--config-file", f"{folder}/glance-api.conf"]
warnings.simplefilter("ignore")

from glance.cmd import api  # first of all: it replaces parts of Python's library
from jsonschema.validators import Draft202012Validator
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.pool import QueuePool

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

# The same for three quarters of the processor's time. What is loaded by now is never garbage, and requests leave little:
gc.freeze()
gc.set_threshold(50_000, 20, 100)
# connections to the database stay open, as they would with any other than SQLite;
SQLiteDialect_pysqlite.get_pool_class = classmethod(lambda cls, url: QueuePool)
# and images are checked against Glance's schemas, but not these against the schema of schemas each time.
Draft202012Validator.check_schema = classmethod(lambda cls, schema: None)

sys.argv = ["glance-api", *configuration]
sys.exit(api.main())
