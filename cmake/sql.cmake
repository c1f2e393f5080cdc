# The numbered migrations of sql/, compiled in, so that one image carries them: a table of
# names and bytes, in the order of their numbers (src/edge/postgres/pq_files.h).
file(GLOB sql_files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/sql/[0-9][0-9][0-9]_*.sql)
list(SORT sql_files)
set(sql_data "")
set(sql_table "")
set(sql_index 0)
foreach(file ${sql_files})
    get_filename_component(name ${file} NAME)
    string(APPEND sql_data "        \"sql_${sql_index}_start:\\n\"\n"
                           "        \".incbin \\\"${file}\\\"\\n\"\n"
                           "        \"sql_${sql_index}_end:\\n\"\n        \".byte 0\\n\"\n")
    string(APPEND sql_symbols "extern const uint8_t sql_${sql_index}_start[] __attribute__((visibility(\"hidden\")));\n"
                              "extern const uint8_t sql_${sql_index}_end[] __attribute__((visibility(\"hidden\")));\n")
    string(APPEND sql_table "    {\"${name}\", sql_${sql_index}_start, sql_${sql_index}_end},\n")
    math(EXPR sql_index "${sql_index} + 1")
endforeach()
configure_file(${CMAKE_SOURCE_DIR}/cmake/sql_files.c.in ${CMAKE_BINARY_DIR}/generated/sql_files.c @ONLY)
set_source_files_properties(${CMAKE_BINARY_DIR}/generated/sql_files.c PROPERTIES
    OBJECT_DEPENDS "${sql_files}")
add_library(sql_files STATIC ${CMAKE_BINARY_DIR}/generated/sql_files.c)
if(TARGET bt_edge)
    target_link_libraries(bt_edge PUBLIC sql_files ${CMAKE_DL_LIBS})
endif()
