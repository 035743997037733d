include .config
obj-y := init/main.o
obj-$(CONFIG_BTRFS_FS) += fs/btrfs/inode.o fs/btrfs/file.o
obj-$(CONFIG_EXT4_FS) += fs/ext4/inode.o
CC ?= cc
VPATH = $(srctree)
-include $(obj-y:.o=.d)

bzImage: arch/x86/boot/bzImage
arch/x86/boot/bzImage: vmlinux
	@cat $(srctree)/scripts/header.bin vmlinux > $@
vmlinux: $(obj-y)
	@echo "  LD      vmlinux"
	@sh $(srctree)/scripts/link $@ $(obj-y)
%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC      $@"
	@$(CC) $(KCFLAGS) -c $< -o $@
