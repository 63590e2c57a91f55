"""Keystone in one process: makes its keys, its tables and its first user, and serves. Arguments: the folder with
keystone.conf, the port, and the password of the user admin of the project admin."""

import base64
import os
import socketserver
import sqlite3
import sys
import traceback
import warnings
from wsgiref import simple_server

folder, port, password = sys.argv[1], int(sys.argv[2]), sys.argv[3]
is_new = not os.path.exists(f"{folder}/keystone.db")
sys.argv[1:] = []
warnings.simplefilter("ignore")


def make_keys(name):
    os.makedirs(f"{folder}/{name}", 0o700)
    for number in range(2):
        with open(f"{folder}/{name}/{number}", "wb") as file:
            file.write(base64.urlsafe_b64encode(os.urandom(32)))


if is_new:
    make_keys("fernet")
    make_keys("credential")

from keystone.server.flask import core

app = core.initialize_application("public", config_files=[f"{folder}/keystone.conf"])


def bootstrap():
    # Without it two requests at once find the database locked.
    sqlite3.connect(f"{folder}/keystone.db").execute("PRAGMA journal_mode=WAL")
    from keystone.cmd import bootstrap
    from keystone.common.sql import upgrades

    upgrades.offline_sync_database_to_version()
    bootstrap.backends.load_backends = lambda: {}  # the application has loaded them
    first = bootstrap.Bootstrapper()
    first.admin_username = first.project_name = first.admin_role_name = "admin"
    first.admin_password = password
    first.service_name, first.region_id, first.immutable_roles = "keystone", "RegionOne", False
    first.public_url = first.internal_url = first.admin_url = f"http://127.0.0.1:{port}/v3"
    first.bootstrap()


def in_child(work):
    """In a process of its own, so that no connection to the database stays open here."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    if os.waitpid(child, 0)[1] != 0:
        sys.exit("the first user could not be made")


if is_new:
    in_child(bootstrap)


class Server(socketserver.ThreadingMixIn, simple_server.WSGIServer):
    daemon_threads = True
    request_queue_size = 128

    def server_bind(self):
        # Not WSGIServer's own: it asks for the name of the address.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", port
        self.setup_environ()


class Handler(simple_server.WSGIRequestHandler):
    def address_string(self):
        return self.client_address[0]


server = Server(("127.0.0.1", port), Handler)
server.set_app(app)
server.serve_forever()
