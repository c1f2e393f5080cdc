# tests/unit/<layer>/test_*.c links bt_<layer> and nothing above it, so a call that
# the layer table forbids does not link. tests/integration/test_*.c sees everything.
# tests/e2e/test_*.py drives the built binary. Labels: unit, integration, e2e, fuzz.
pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)

function(btcast_test label library source)
    get_filename_component(stem ${source} NAME_WE)
    add_executable(${stem} ${source})
    target_compile_options(${stem} PRIVATE ${BTCAST_WARNINGS})
    target_include_directories(${stem} PRIVATE ${CMAKE_SOURCE_DIR}/tests)
    target_link_libraries(${stem} PRIVATE ${library} bt_test PkgConfig::CMOCKA)
    set_target_properties(${stem} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
    add_test(NAME ${label}.${stem} COMMAND ${stem} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
    set_tests_properties(${label}.${stem} PROPERTIES LABELS ${label} TIMEOUT 300)
endfunction()

file(GLOB test_lib CONFIGURE_DEPENDS tests/lib/*.c)
if(test_lib)
    add_library(bt_test STATIC ${test_lib})
    target_link_libraries(bt_test PUBLIC bt_base PkgConfig::CMOCKA ${LIB_HIREDIS})
else()
    add_library(bt_test INTERFACE)
endif()

if(NOT BTCAST_FUZZ)
    foreach(layer base market model wire hot_stream hot_ingest hot_state hot_infer learn_lake learn recover edge
            sim services)
        file(GLOB sources CONFIGURE_DEPENDS tests/unit/${layer}/test_*.c)
        foreach(source ${sources})
            btcast_test(unit bt_${layer} ${source})
        endforeach()
    endforeach()
    file(GLOB sources CONFIGURE_DEPENDS tests/integration/test_*.c)
    foreach(source ${sources})
        btcast_test(integration bt_services ${source})
    endforeach()
endif()

# Hours of a simulated market: what they say does not depend on the build, so they run where
# an hour takes seconds, in the release one (tools/test.sh).
if(NOT BTCAST_FUZZ)
    set_tests_properties(unit.test_sim_market integration.test_false_positives PROPERTIES LABELS hours)
endif()

# The ports' suites once more behind Sentinel and on a cluster (tests/lib/redis_fixture.h).
if(NOT BTCAST_FUZZ)
    foreach(mode sentinel cluster)
        foreach(stem test_redis_stream test_redis_state test_redis_infer test_redis_anchor)
            add_test(NAME integration.${stem}_on_${mode} COMMAND ${stem} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
            set_tests_properties(integration.${stem}_on_${mode} PROPERTIES LABELS integration TIMEOUT 300
                ENVIRONMENT "BTCAST_TEST_REDIS=${mode}")
        endforeach()
    endforeach()
endif()

file(GLOB sources CONFIGURE_DEPENDS tests/e2e/test_*.py)
foreach(source ${sources})
    get_filename_component(stem ${source} NAME_WE)
    add_test(NAME e2e.${stem} COMMAND /usr/bin/python3 ${source} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
    set_tests_properties(e2e.${stem} PROPERTIES LABELS e2e TIMEOUT 600
        ENVIRONMENT "BTCAST=$<IF:$<TARGET_EXISTS:btcast>,${CMAKE_BINARY_DIR}/btcast,>")
endforeach()

# Counts of faults have to be exact, and a starved watchdog opens a second connection that meets
# them again: nothing beside it.
set_tests_properties(e2e.test_faults PROPERTIES RUN_SERIAL TRUE)

# What is run of a release build: nothing else of it is tested.
if(TARGET btcast AND TARGET btcast-sim)
    add_custom_target(e2e_programs DEPENDS btcast btcast-sim make_baseline model_run
                      test_sim_market test_false_positives)
endif()

if(BTCAST_FUZZ)
    add_custom_target(fuzz_programs)
    file(GLOB sources CONFIGURE_DEPENDS tests/fuzz/fuzz_*.c)
    foreach(source ${sources})
        get_filename_component(stem ${source} NAME_WE)
        add_executable(${stem} ${source})
        target_compile_options(${stem} PRIVATE ${BTCAST_WARNINGS} -fsanitize=fuzzer)
        target_link_options(${stem} PRIVATE -fsanitize=fuzzer)
        target_link_libraries(${stem} PRIVATE bt_edge)
        set_target_properties(${stem} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz)
        add_dependencies(fuzz_programs ${stem})
    endforeach()
endif()

if(NOT BTCAST_FUZZ)
    file(GLOB sources CONFIGURE_DEPENDS bench/bench_*.c)
    foreach(source ${sources})
        get_filename_component(stem ${source} NAME_WE)
        add_executable(${stem} ${source})
        target_include_directories(${stem} PRIVATE ${CMAKE_SOURCE_DIR}/tests)
        target_link_libraries(${stem} PRIVATE bt_services bt_test)
        set_target_properties(${stem} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bench)
    endforeach()
    # The std::map peer of the book is the only C++ here.
    if(TARGET bench_book)
        enable_language(CXX)
        target_sources(bench_book PRIVATE bench/book_map.cc)
    endif()
endif()

add_test(NAME tidy.layers COMMAND /usr/bin/python3 tools/check_layers.py
         WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
set_tests_properties(tidy.layers PROPERTIES LABELS tidy)
