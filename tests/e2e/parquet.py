# SPDX-License-Identifier: Apache-2.0
"""What lies in the lake, asked in SQL through DuckDB's library."""
import ctypes
import glob
import os

import harness


class _Result(ctypes.Structure):
    _fields_ = [("inside", ctypes.c_uint64 * 6)]


def _library():
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    found = [os.environ.get("BTCAST_DUCKDB", "")]
    found += glob.glob(os.path.join(cache, "btcast/npm/node_modules/@duckdb/*/libduckdb.so"))
    found += ["libduckdb.so"]
    for path in filter(None, found):
        try:
            return ctypes.CDLL(path)
        except OSError:
            continue
    return harness.skip("libduckdb.so is not there: run tools/setup.sh")


class Lake:
    """SQL over the Parquet files below a folder."""

    def __init__(self, folder):
        self.folder = folder
        self.library = lib = _library()
        self.database, self.connection = ctypes.c_void_p(), ctypes.c_void_p()
        lib.duckdb_value_varchar.restype = ctypes.c_void_p
        lib.duckdb_result_error.restype = ctypes.c_char_p
        lib.duckdb_row_count.restype = lib.duckdb_column_count.restype = ctypes.c_uint64
        assert lib.duckdb_open(None, ctypes.byref(self.database)) == 0
        assert lib.duckdb_connect(self.database, ctypes.byref(self.connection)) == 0

    def query(self, sql):
        """Rows of texts; None for NULL."""
        lib, result = self.library, _Result()
        ok = lib.duckdb_query(self.connection, sql.encode(), ctypes.byref(result)) == 0
        error = None if ok else lib.duckdb_result_error(ctypes.byref(result)).decode()
        rows = []
        columns = lib.duckdb_column_count(ctypes.byref(result)) if ok else 0
        for row in range(lib.duckdb_row_count(ctypes.byref(result)) if ok else 0):
            rows.append(tuple(self._value(result, column, row) for column in range(columns)))
        lib.duckdb_destroy_result(ctypes.byref(result))
        assert ok, error
        return rows

    def _value(self, result, column, row):
        at = self.library.duckdb_value_varchar(ctypes.byref(result), ctypes.c_uint64(column),
                                               ctypes.c_uint64(row))
        if not at:
            return None
        value = ctypes.string_at(at).decode()
        self.library.duckdb_free(ctypes.c_void_p(at))
        return value

    def files(self, pattern):
        """Of a pattern under the lake's root."""
        return glob.glob(os.path.join(self.folder, pattern), recursive=True)

    def column(self, pattern, column, where="true"):
        """A column of every row of the files, sorted by it."""
        if not self.files(pattern):
            return []
        path = os.path.join(self.folder, pattern)
        return [row[0] for row in self.query(
            f"SELECT {column} FROM read_parquet('{path}') WHERE {where} ORDER BY 1")]
