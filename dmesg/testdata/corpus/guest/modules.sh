#!/bin/sh
# Builds lkdtm.ko and provoke_module.ko for a kernel of Debian's, whose headers
# are installed, from the lkdtm folder of the source package of its series:
#
#   modules.sh 6.12.117+deb12-amd64 /usr/src/linux-source-6.12.tar.xz OUTDIR
#
# A test in it needs a function that modules may not call; it does nothing here.
set -e
release=$1 tarball=$2 out=$3
here=$(cd "$(dirname "$0")" && pwd)
top=$(basename "$tarball" .tar.xz)
mkdir -p "$out"
tar xf "$tarball" -C "$out" --strip-components=4 "$top/drivers/misc/lkdtm"
(cd "$out" && patch -p4 <"$here/provoke.patch")
cp "$here/provoke_module.c" "$out"
cd "$out"
sed -i 's/^lkdtm.*provoke\.o$//; /^obj-/a obj-m += provoke_module.o' Makefile
sed -i 's/native_write_cr4/lkdtm_no_cr4/g; 0,/^struct lkdtm_list/s//static __maybe_unused void lkdtm_no_cr4(unsigned long v) { }\nstruct lkdtm_list/' bugs.c
make -C "/usr/src/linux-headers-$release" M="$PWD" CONFIG_LKDTM=m modules
strip -g ./*.ko
