#include <linux/btrfs.h>
int file_a;
int file_b;
int file_c;
