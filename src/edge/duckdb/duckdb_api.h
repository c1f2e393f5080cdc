/* DuckDB's C API, loaded when a command needs it: the hot services never map its 65 MB. The
 * functions that are used, checked one by one when the library is opened.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_DUCKDB_DUCKDB_API_H
#define BTCAST_EDGE_DUCKDB_DUCKDB_API_H

#include <duckdb.h>

#include "base/err.h"

/* Environment variable that names the library. */
#define DUCKDB_API_ENV "BTCAST_DUCKDB"

#define DUCKDB_API_TABLE(X)                                                                        \
    X(library_version)                                                                             \
    X(open_ext)                                                                                    \
    X(close)                                                                                       \
    X(connect)                                                                                     \
    X(disconnect)                                                                                  \
    X(create_config)                                                                               \
    X(set_config)                                                                                  \
    X(destroy_config)                                                                              \
    X(free)                                                                                        \
    X(query)                                                                                       \
    X(destroy_result)                                                                              \
    X(result_error)                                                                                \
    X(fetch_chunk)                                                                                 \
    X(prepare)                                                                                     \
    X(prepare_error)                                                                               \
    X(destroy_prepare)                                                                             \
    X(bind_varchar_length)                                                                         \
    X(bind_int64)                                                                                  \
    X(execute_prepared)                                                                            \
    X(create_logical_type)                                                                         \
    X(create_list_type)                                                                            \
    X(create_struct_type)                                                                          \
    X(destroy_logical_type)                                                                        \
    X(vector_size)                                                                                 \
    X(create_data_chunk)                                                                           \
    X(destroy_data_chunk)                                                                          \
    X(data_chunk_get_size)                                                                         \
    X(data_chunk_set_size)                                                                         \
    X(data_chunk_get_vector)                                                                       \
    X(vector_get_data)                                                                             \
    X(vector_get_validity)                                                                         \
    X(vector_ensure_validity_writable)                                                             \
    X(vector_assign_string_element_len)                                                            \
    X(list_vector_get_child)                                                                       \
    X(list_vector_reserve)                                                                         \
    X(list_vector_set_size)                                                                        \
    X(struct_vector_get_child)                                                                     \
    X(create_table_function)                                                                       \
    X(destroy_table_function)                                                                      \
    X(table_function_set_name)                                                                     \
    X(table_function_set_extra_info)                                                               \
    X(table_function_set_bind)                                                                     \
    X(table_function_set_init)                                                                     \
    X(table_function_set_function)                                                                 \
    X(register_table_function)                                                                     \
    X(bind_get_extra_info)                                                                         \
    X(bind_add_result_column)                                                                      \
    X(function_get_extra_info)

struct duckdb_api {
    void *library;
#define X(name) __typeof__(duckdb_##name) *name;
    DUCKDB_API_TABLE(X)
#undef X
};

/* Where the library is looked for, in this order: setting (a path; NULL or empty: none), the
 * environment's BTCAST_DUCKDB, the system's libduckdb.so, the npm cache that tools/setup.sh
 * fills. Returns the one loaded library of the process (never unloaded), the same for every
 * caller. ERR_NOT_FOUND with every place that was tried; ERR_UNSUPPORTED when a function is
 * missing in it. Not from two threads at once. */
int duckdb_api_load(const char *setting, const struct duckdb_api **api, struct err *err) MUST_CHECK;

#endif
