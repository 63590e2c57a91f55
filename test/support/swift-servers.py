"""Runs all servers of Swift in one process. Arguments: their configuration files."""

import configparser
import os
import sys

import eventlet
from eventlet import wsgi as http
from swift.common import constraints, utils, wsgi

utils.eventlet_monkey_patch()
utils.disable_fallocate()
pool = eventlet.GreenPool(1024)


def serve(path):
    parser = configparser.RawConfigParser()
    parser.read(path)
    settings = parser.defaults()
    utils.set_swift_dir(settings["swift_dir"])
    constraints.reload_constraints()
    app = wsgi.loadapp(path, global_conf={"log_name": os.path.basename(path)})
    listener = eventlet.listen((settings["bind_ip"], int(settings["bind_port"])), backlog=4096, reuse_addr=True)
    return eventlet.spawn(
        http.server,
        listener,
        app,
        utils.NullLogger(),
        custom_pool=pool,
        protocol=wsgi.SwiftHttpProtocol,
        capitalize_response_headers=False,
        debug=False,
    )


for server in [serve(path) for path in sys.argv[1:]]:
    server.wait()
