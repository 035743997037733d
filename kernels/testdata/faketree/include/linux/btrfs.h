struct btrfs;
