/* Temporary folders and free ports for tests. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_TESTS_LIB_TEMP_DIR_H
#define BTCAST_TESTS_LIB_TEMP_DIR_H

#define TEMP_DIR_SIZE 64

/* Makes /tmp/btcast-test-XXXXXX; short, because socket paths end at 107 bytes. Fails the
 * test when it cannot. */
void temp_dir_make(char path[TEMP_DIR_SIZE]);
/* Removes it with all it holds; an empty path is nothing. */
void temp_dir_remove(char path[TEMP_DIR_SIZE]);
/* A TCP port on loopback that nobody listens on right now. */
int temp_port(void);

#endif
