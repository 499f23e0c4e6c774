"""The few calls of libpq that plans.py makes, as the module makes them."""

import ctypes
import ctypes.util

OK = (0, 1, 2, 10)      # empty, command, tuples, pipeline sync
SYNC = 10

pq = ctypes.CDLL(ctypes.util.find_library('pq') or 'libpq.so.5')

for name in ('PQconnectdb', 'PQexec', 'PQprepare', 'PQexecPrepared',
             'PQdescribePrepared', 'PQgetResult'):
    getattr(pq, name).restype = ctypes.c_void_p

for name in ('PQerrorMessage', 'PQresultErrorMessage', 'PQgetvalue'):
    getattr(pq, name).restype = ctypes.c_char_p

VOID = ctypes.c_void_p


class Failed(Exception):
    pass


class Session:

    def __init__(self, conninfo, options):
        quoted = options.replace('\\', '\\\\').replace("'", "\\'")
        text = f"{conninfo} options='{quoted}' client_encoding=UTF8"
        self.conn = VOID(pq.PQconnectdb(text.encode()))

        if pq.PQstatus(self.conn) != 0:
            raise Failed(pq.PQerrorMessage(self.conn).decode())

        self.pid = pq.PQbackendPID(self.conn)

    def close(self):
        pq.PQfinish(self.conn)

    def take(self, res):
        """rows of a result as lists of text"""
        res = VOID(res)

        try:
            if pq.PQresultStatus(res) not in OK:
                error = pq.PQresultErrorMessage(res)
                raise Failed(error.decode().strip())

            return [[pq.PQgetvalue(res, row, column).decode()
                     for column in range(pq.PQnfields(res))]
                    for row in range(pq.PQntuples(res))]
        finally:
            pq.PQclear(res)

    def sql(self, text):
        return self.take(pq.PQexec(self.conn, text.encode()))

    def prepare(self, name, text):
        self.take(pq.PQprepare(self.conn, name.encode(), text.encode(), 0,
                               None))

    def describe(self, name):
        """how many parameters and columns a prepared statement has"""
        res = VOID(pq.PQdescribePrepared(self.conn, name.encode()))

        try:
            return pq.PQnparams(res), pq.PQnfields(res)
        finally:
            pq.PQclear(res)

    def values(self, values):
        return (ctypes.c_char_p * (len(values) + 1))(
            *[v.encode() for v in values])

    def execute(self, name, values):
        return self.take(pq.PQexecPrepared(
            self.conn, name.encode(), len(values), self.values(values), None,
            None, 0))

    def repeat(self, name, values, times, depth=16):
        """executes as a busy pool does: depth statements under a Sync"""
        values, count = self.values(values), len(values)
        name = name.encode()

        pq.PQenterPipelineMode(self.conn)

        while times > 0:
            for _ in range(depth):
                pq.PQsendQueryPrepared(self.conn, name, count, values, None,
                                       None, 0)
            pq.PQpipelineSync(self.conn)

            status = 0
            while status != SYNC:
                res = VOID(pq.PQgetResult(self.conn))
                if res.value:
                    status = pq.PQresultStatus(res)
                    if status not in OK:
                        raise Failed('failed in a pipeline')
                    pq.PQclear(res)

            times -= depth

        pq.PQexitPipelineMode(self.conn)

    def cpu(self):
        """nanoseconds that the backend has been running"""
        with open(f'/proc/{self.pid}/schedstat', encoding='ascii') as f:
            return int(f.read().split()[0])
