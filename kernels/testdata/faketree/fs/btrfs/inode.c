#include <linux/btrfs.h>
// the inode code
int a;
int b;
int c;
int d;
int e;
int f;
WARN_ON(inode->csum_bytes);
int g;
int h;
int i;
int j;
int k;
int l;
int m;
