# The built-in model: its maker, a check that the file in the tree is what the maker makes,
# and the program that runs a model on vectors for tests and for people.
set_source_files_properties(${CMAKE_SOURCE_DIR}/src/model/baseline.c
    PROPERTIES OBJECT_DEPENDS ${CMAKE_SOURCE_DIR}/models/baseline.onnx)

foreach(tool make_baseline model_run)
    add_executable(${tool} ${CMAKE_SOURCE_DIR}/tools/${tool}.c)
    target_compile_options(${tool} PRIVATE ${BTCAST_WARNINGS})
    target_link_libraries(${tool} PRIVATE bt_wire)
    string(REPLACE "_" "-" name ${tool})
    set_target_properties(${tool} PROPERTIES OUTPUT_NAME ${name}
        RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tools)
endforeach()

enable_testing()
add_test(NAME unit.baseline_in_the_tree_is_what_the_tool_makes
    COMMAND make_baseline --check ${CMAKE_SOURCE_DIR}/models/baseline.onnx)
set_tests_properties(unit.baseline_in_the_tree_is_what_the_tool_makes PROPERTIES LABELS unit)
