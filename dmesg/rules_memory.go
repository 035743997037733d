package dmesg

// sanitizerHeaders: KASAN, KMSAN, KCSAN, KFENCE, UBSAN, SLUB debugging.
var sanitizerHeaders = []rule{
	{trigger: "BUG:", pattern: `BUG: KASAN: (?P<what>double-free or invalid-free|double-free|invalid-free) in %sym%`, where: anywhere,
		kind: KindKASAN, sev: SeverityHigh, title: "KASAN: invalid-free in {func}", guilt: guiltFirst,
		skip: newHelperSet([]string{"*slab_*", "*kfree*", "*vunmap*", "*vfree*"}), ending: endRule},
	{trigger: "BUG:", pattern: `BUG: KASAN: (?P<what>[a-z][a-z -]*?) in %sym%`, where: anywhere,
		kind: KindKASAN, sev: SeverityHigh, title: "KASAN: {what} {rw} in {func}", guilt: guiltFirst, own: accessLines,
		skip: newHelperSet([]string{"*kernel_fault*", "*tag_check*", "*mem_abort*", "el1_*", "el1h_*"}), ending: endRule},
	{trigger: "BUG:", pattern: `BUG: KASAN: (?P<what>[a-z-]+) on address`, where: anywhere,
		kind: KindKASAN, sev: SeverityHigh, title: "KASAN: {what} {rw} in {func}", guilt: guiltTrace, ending: endRule},
	{trigger: "BUG:", pattern: `BUG: KASAN: (?P<what>[a-z][a-z -]*?) in (?:\(|0x|<|[0-9a-f]{8})`, where: anywhere,
		kind: KindKASAN, sev: SeverityHigh, title: "KASAN: {what} {rw} in {func}", guilt: guiltTrace, ending: endRule},
	{trigger: "BUG:", pattern: `BUG: KASAN(?::|\s*$)\s*(?P<what>[a-z-]*)`, where: anywhere, cut: true,
		kind: KindKASAN, sev: SeverityHigh, title: "KASAN: {what} in {func}", guilt: guiltTrace, ending: endRule},
	{trigger: "AddressSanitizer:", pattern: `(?:ERROR|BUG): AddressSanitizer: (?P<what>[a-z-]+)`,
		kind: KindKASAN, sev: SeverityHigh, title: "KASAN: {what} {rw} in {func}", guilt: guiltTrace, ending: endRule},
	{trigger: "BUG:", pattern: `BUG: KMSAN: kernel-usb-infoleak in %sym%`, where: anywhere,
		kind: KindKMSAN, sev: SeverityHigh, title: "KMSAN: kernel-usb-infoleak in {func}", guilt: guiltFirst,
		skip: newHelperSet([]string{"*alloc_skb*", "*usb_submit_urb*", "*usb_start_wait_urb*", "*usb_bulk_msg*", "*usb_interrupt_msg*"}), ending: endRule},
	{trigger: "BUG:", pattern: `BUG: KMSAN: (?P<what>[a-z][a-z -]*?) in %sym%`, where: anywhere,
		kind: KindKMSAN, sev: SeverityHigh, title: "KMSAN: {what} in {func}", guilt: guiltFirst, ending: endRule,
		skip: newHelperSet([]string{"*alloc_skb*", "*netlink_ack*", "*netlink_rcv_skb*", "*_encrypt", "*_decrypt", "crypto_*", "cipher_*", "drbg_*", "rng_*"})},
	{trigger: "BUG:", pattern: `BUG: KMSAN(?::|\s*$)\s*(?P<what>[a-z-]*)`, where: anywhere, cut: true,
		kind: KindKMSAN, sev: SeverityHigh, title: "KMSAN: {what} in {func}", guilt: guiltFirst, ending: endRule},
	{trigger: "BUG:", pattern: `BUG: KCSAN: (?P<what>(?:assert: )?[a-z-]+) in %sym%(?P<also> / [\w.]+(?:\+0x\S+)?)?`, where: anywhere,
		kind: KindKCSAN, sev: SeverityMedium, title: "KCSAN: {what} in {func}{also}", guilt: guiltHeader, ending: endRule},
	{trigger: "BUG:", pattern: `BUG: KCSAN(?::|\s*$)\s*(?P<what>.{0,80})`, where: anywhere, cut: true,
		kind: KindKCSAN, sev: SeverityMedium, title: "KCSAN: {what}", guilt: guiltNone, ending: endRule},
	{trigger: "BUG:", pattern: `BUG: KFENCE: (?P<what>[a-z][a-z -]*?) in %sym%`, where: anywhere,
		kind: KindKFENCE, sev: SeverityHigh, title: "KFENCE: {what} in {func}", guilt: guiltFirst, ending: endRule},
	{trigger: "BUG:", pattern: `BUG: KFENCE(?::|\s*$)\s*(?P<what>[a-z -]*)`, where: anywhere, cut: true,
		kind: KindKFENCE, sev: SeverityHigh, title: "KFENCE: {what} in {func}", guilt: guiltFirst, ending: endRule},
	{trigger: "UBSAN:", pattern: `UBSAN: Undefined behaviour in %src%`, where: anywhere,
		kind: KindUBSAN, sev: SeverityMedium, title: "UBSAN: undefined-behaviour in {func}", guilt: guiltTrace, skip: ubsanHelpers, ending: endRule},
	{trigger: "UBSAN:", pattern: `UBSAN: (?P<what>[a-z][a-z -]*?) in %src%`, where: anywhere,
		kind: KindUBSAN, sev: SeverityMedium, title: "UBSAN: {what} in {func}", guilt: guiltTrace, skip: ubsanHelpers, ending: endRule},
	{trigger: "UBSAN:", pattern: `UBSAN: (?P<what>[a-z]+-[a-z-]*|Undefined behaviour)`, where: anywhere, cut: true,
		kind: KindUBSAN, sev: SeverityMedium, title: "UBSAN: {what} in {func}", guilt: guiltTrace, skip: ubsanHelpers, ending: endRule},
	{trigger: "UBSAN:", pattern: `UBSAN:\s*[a-zA-Z]*\s*$`, where: atStart, cut: true, kernelOnly: true,
		kind: KindUBSAN, sev: SeverityMedium, title: "UBSAN: header cut in {func}", guilt: guiltTrace, skip: ubsanHelpers, ending: endRule},
	{trigger: "BUG ", pattern: `BUG (?P<cache>[\w:.-]+) ?\(.*?\): kasan: bad access detected`, where: anywhere, join: joinAlways, cut: true,
		kind: KindKASAN, sev: SeverityHigh, title: "KASAN: bad access in {func}", guilt: guiltTrace, ending: endRule},
	{trigger: "BUG ", pattern: `BUG (?P<cache>[\w:.-]+) ?\((?:Not tainted|Tainted).*?\): (?P<what>[A-Za-z][A-Za-z0-9 ]*)`, where: anywhere,
		kind: KindBug, sev: SeverityHigh, title: "BUG: {what} in {func}", guilt: guiltTrace, ending: endOpen, slub: true},
	{trigger: "BUG ", pattern: `BUG (?P<cache>[\w:.-]+)(?: \(.*\))?: (?P<what>Object already free|Redzone overwritten|Poison overwritten|Freepointer corrupt|Object padding overwritten|Invalid object pointer.*|Objects remaining.*)`, where: anywhere,
		kind: KindBug, sev: SeverityHigh, title: "BUG: {what}", guilt: guiltNone, ending: endOpen},
	{trigger: "BUG ", pattern: `BUG (?P<cache>[\w:.-]+) ?\((?:Not tainted|Tainted: )[^)]*\)?:?\s*$`, where: anywhere, cut: true, kernelOnly: true,
		kind: KindBug, sev: SeverityHigh, title: "BUG: slab report in {func}", guilt: guiltTrace, slub: true},
	{trigger: "INFO:", pattern: `INFO: (?P<what>Freed|Allocated) in %sym%`, join: joinAlways,
		kind: KindOther, sev: SeverityHigh, title: "INFO: {what} in {func}", guilt: guiltHeader, cut: true},
	{trigger: "INFO:", pattern: `INFO: (?:(?:Object|Slab) 0x[0-9a-f]+ |0x[0-9a-f]+-0x[0-9a-f]+\. First byte)`, join: joinAlways, proof: true,
		kind: KindOther, sev: SeverityHigh, title: "INFO: slab report in {func}", guilt: guiltTrace, cut: true},
}

var accessLines = []string{"Read of size ", "Write of size ", "Read at addr ", "Write at addr "}

var ubsanHelpers = newHelperSet([]string{"*ubsan*", "*overflow*"})

// leakHeaders: kmemleak.
var leakHeaders = []rule{
	{trigger: "BUG:", pattern: `BUG: memory leak`, where: anywhere,
		kind: KindMemoryLeak, sev: SeverityMedium, title: "memory leak in {func}", guilt: guiltLeak, skip: leakHelpers},
	{trigger: "unreferenced object", pattern: `unreferenced object 0x[0-9a-f]{8,16} \(size \d+\)`, join: joinEarly,
		kind: KindMemoryLeak, sev: SeverityMedium, title: "memory leak in {func}", guilt: guiltLeak, skip: leakHelpers},
	{trigger: "memory leak", pattern: `kmemleak: \d+ new suspected memory leaks`, where: anywhere,
		kind: KindMemoryLeak, sev: SeverityMedium, title: "memory leaks suspected", guilt: guiltNone, ending: endLine, summary: true},
}

var leakHelpers = newHelperSet([]string{"*kmemleak*", "*mmap*", "*kmem*", "*slab*", "*alloc*", "*create_object*", "*idr_get*",
	"*list_lru_init*", "*kasprintf*", "*kvasprintf*", "*pcpu_create*", "*strdup*", "*strndup*", "*memdup*"})
