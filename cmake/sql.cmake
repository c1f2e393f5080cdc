# SQL that is compiled in, so that one binary carries it, as tables of names and bytes: the
# numbered migrations of sql/ in the order of their numbers (src/edge/postgres/pq_files.h), and
# the statements of sql/silver (src/edge/duckdb/silver_files.h).
file(GLOB sql_migrations CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/sql/[0-9][0-9][0-9]_*.sql)
file(GLOB sql_silver CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/sql/silver/*.sql)
set(sql_data "")
function(sql_embed prefix files)
    list(SORT files)
    set(table "")
    set(index 0)
    foreach(file ${files})
        get_filename_component(name ${file} NAME)
        set(symbol ${prefix}_${index})
        string(APPEND sql_data "        \"${symbol}_start:\\n\"\n"
                               "        \".incbin \\\"${file}\\\"\\n\"\n"
                               "        \"${symbol}_end:\\n\"\n        \".byte 0\\n\"\n")
        string(APPEND sql_symbols "extern const uint8_t ${symbol}_start[] __attribute__((visibility(\"hidden\")));\n"
                                  "extern const uint8_t ${symbol}_end[] __attribute__((visibility(\"hidden\")));\n")
        string(APPEND table "    {\"${name}\", ${symbol}_start, ${symbol}_end},\n")
        math(EXPR index "${index} + 1")
    endforeach()
    set(sql_data "${sql_data}" PARENT_SCOPE)
    set(sql_symbols "${sql_symbols}" PARENT_SCOPE)
    set(${prefix}_table "${table}" PARENT_SCOPE)
    set(${prefix}_index ${index} PARENT_SCOPE)
endfunction()
sql_embed(sql "${sql_migrations}")
sql_embed(silver "${sql_silver}")
configure_file(${CMAKE_SOURCE_DIR}/cmake/sql_files.c.in ${CMAKE_BINARY_DIR}/generated/sql_files.c @ONLY)
set_source_files_properties(${CMAKE_BINARY_DIR}/generated/sql_files.c PROPERTIES
    OBJECT_DEPENDS "${sql_migrations};${sql_silver}")
add_library(sql_files STATIC ${CMAKE_BINARY_DIR}/generated/sql_files.c)
if(TARGET bt_edge)
    target_link_libraries(bt_edge PUBLIC sql_files ${CMAKE_DL_LIBS})
endif()
