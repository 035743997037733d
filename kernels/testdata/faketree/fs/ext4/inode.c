int ext4_a;
int ext4_b;
