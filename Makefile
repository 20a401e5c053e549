# rc-kexec. `make` builds, `make test` tests everything, `make demo` shows it;
# each installs what it needs first, or says how to.

# x86_64, aarch64 or i686; built for another machine than this, it has its name added.
HOST := $(shell uname -m | sed 's/^i.86$$/i686/')
ARCH ?= $(HOST)
TARGET ?= $(ARCH)-unknown-linux-musl
PREFIX ?= /usr
DESTDIR ?=
# yes: kexec is a link to rc-kexec, too, in the place of kexec-tools.
KEXEC_LINK ?= no
# mkinitfs, dracut, mkinitcpio, initramfs-tools: for which of them, by commas, hooks are installed.
INITRAMFS ?=
# yes: the unit for systemd in the place of the OpenRC services.
SYSTEMD ?= no
CARGO ?= cargo

out = $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
release = $(out)/$(TARGET)/release
added = $(if $(filter-out $(HOST),$(1)),-$(1))
tiny_of = $(out)/rc-kexec-tiny$(call added,$(1))
binary = $(out)/rc-kexec$(call added,$(ARCH))
tiny = $(call tiny_of,$(ARCH))
# What cargo adds to the flags of .cargo/config.toml.
rustflags = CARGO_TARGET_$(shell echo $(TARGET) | tr a-z- A-Z_)_RUSTFLAGS
sbin = $(DESTDIR)$(PREFIX)/sbin
etc = $(DESTDIR)/etc
lib = $(DESTDIR)$(PREFIX)/lib
man = $(DESTDIR)$(PREFIX)/share/man/man8
bash = $(DESTDIR)$(PREFIX)/share/bash-completion/completions
zsh = $(DESTDIR)$(PREFIX)/share/zsh/site-functions

# The hooks are where their generators look, whatever PREFIX is.
comma := ,
generators = mkinitfs dracut mkinitcpio initramfs-tools
asked_for = $(subst $(comma), ,$(INITRAMFS))
features = $(etc)/mkinitfs/features.d
dracut_module = $(DESTDIR)/usr/lib/dracut/modules.d/90rc-kexec
mkinitcpio_hook = $(DESTDIR)/usr/lib/initcpio/install/rc-kexec
initramfs_tools_hook = $(DESTDIR)/usr/share/initramfs-tools/hooks/rc-kexec
# install_hook GENERATOR,FILE,AS,MODE: when it is asked for, with PREFIX in its paths.
define install_hook
	@$(if $(filter $(1),$(asked_for)),install -d "$(dir $(3))" && \
		sed 's|/usr/sbin/|$(PREFIX)/sbin/|g' "initramfs-hook/$(2)" >"$(3)" && chmod $(4) "$(3)",:)
endef

# Each flag was measured: see "Sizes" in README.md. They are for the program alone;
# the tests' builds keep what they need to unwind.
flags_link = -Clink-arg=--hash-style=gnu -Clink-arg=-O2
flags_stable = $(flags_link) -Cforce-unwind-tables=no -Clink-arg=-T$(CURDIR)/link/no-unwind.ld
# For std, too, which is built here: no tables to unwind by, no text of panics.
# nounwind has an empty libunwind.a: std refers to it for backtraces, which are not made,
# and it would bring the C library's stdio.
nounwind = $(out)/nounwind
# On 32-bit x86 what the outliner makes of compiler_builtins does not assemble.
outliner = $(if $(filter-out i686,$(ARCH)),-Cllvm-args=-enable-machine-outliner=always)
# Rust makes no position-independent executables for that machine, whose code for them is
# 12 KB longer.
fixed = $(if $(filter i686,$(ARCH)),-Crelocation-model=static)
flags_tiny = $(flags_stable) $(fixed) -Lnative=$(nounwind) -Zunstable-options -Cpanic=immediate-abort -Zlocation-detail=none \
	-Zfmt-debug=none -Cllvm-args=-inline-threshold=0 $(outliner) -Cllvm-args=-enable-pre=false \
	-Cllvm-args=-min-jump-table-entries=8

.PHONY: all tiny install uninstall demo test check lint others reproducible reproducible-all vm-test vm-test-long oracle guests bench soak \
	fuzz fuzz-briefly seeds sizes costs dist toolchain vm-parts clean

# Fetched first: remap.sh looks at where the crates are. For all crates, unlike the other flags.
all: toolchain
	$(CARGO) fetch --quiet --locked --target $(TARGET)
	$(rustflags)="$$(sh link/remap.sh)" \
	$(CARGO) rustc --locked --release --target $(TARGET) --bin rc-kexec -- $(flags_stable)
	cp $(release)/rc-kexec $(binary)

# RUSTC_BOOTSTRAP: the stable compiler builds its own standard library again.
tiny: toolchain
	sh tests/toolchain.sh source
	mkdir -p $(nounwind)
	printf '!<arch>\n' >$(nounwind)/libunwind.a
	RUSTC_BOOTSTRAP=1 \
	$(rustflags)="$(flags_tiny)" \
	$(CARGO) build --locked --release --target $(TARGET) --target-dir $(out)/tiny --bin rc-kexec \
		-Zbuild-std=std,panic_abort -Zbuild-std-features=optimize_for_size
	cp $(out)/tiny/$(TARGET)/release/rc-kexec $(tiny)

# BINARY=target/rc-kexec-tiny installs the small build.
BINARY ?= $(binary)
install:
	@[ -z "$(filter-out $(generators),$(asked_for))" ] || \
		{ echo "make install: INITRAMFS=$(INITRAMFS) is not known; it is one or more, by commas, of: $(generators)" >&2; exit 1; }
	@[ -e "$(BINARY)" ] || { echo "make install: $(BINARY) is not there; run: make" >&2; exit 1; }
	install -d "$(sbin)"
	install -m 755 "$(BINARY)" "$(sbin)/rc-kexec"
	ln -sf rc-kexec "$(sbin)/kexec-load"
	ln -sf rc-kexec "$(sbin)/kexec-exec"
	[ "$(KEXEC_LINK)" != yes ] || ln -sf rc-kexec "$(sbin)/kexec"
	install -d "$(man)" "$(bash)" "$(zsh)"
	install -m 644 man/*.8 "$(man)"
	install -m 644 completion/rc-kexec.bash "$(bash)/rc-kexec"
	for name in kexec-load kexec-exec $(if $(filter yes,$(KEXEC_LINK)),kexec); do ln -sf rc-kexec "$(bash)/$$name"; done
	install -m 644 completion/_rc-kexec "$(zsh)"
ifeq ($(SYSTEMD),yes)
	install -d "$(lib)/systemd/system" "$(lib)/rc-kexec"
	install -m 755 contrib/systemd/kexec-load-flavour "$(lib)/rc-kexec/"
	sed 's|=/usr/lib/|=$(PREFIX)/lib/|' contrib/systemd/kexec-load@.service >"$(lib)/systemd/system/kexec-load@.service"
	chmod 644 "$(lib)/systemd/system/kexec-load@.service"
else
	install -d "$(etc)/init.d" "$(etc)/conf.d"
	install -m 755 openrc/kexec-load.initd "$(etc)/init.d/kexec-load"
	install -m 755 openrc/kexec-exec.initd "$(etc)/init.d/kexec-exec"
	@# What somebody has set stays.
	[ -e "$(etc)/conf.d/kexec-load" ] || install -m 644 openrc/kexec-load.confd "$(etc)/conf.d/kexec-load"
endif
	[ -z "$(asked_for)" ] || install -m 755 initramfs-hook/rc-kexec-init "$(sbin)/rc-kexec-init"
	$(call install_hook,mkinitfs,mkinitfs.files,$(features)/rc-kexec.files,644)
	$(call install_hook,mkinitfs,mkinitfs.modules,$(features)/rc-kexec.modules,644)
	$(call install_hook,dracut,dracut.sh,$(dracut_module)/module-setup.sh,755)
	$(call install_hook,mkinitcpio,mkinitcpio,$(mkinitcpio_hook),644)
	$(call install_hook,initramfs-tools,initramfs-tools,$(initramfs_tools_hook),755)

uninstall:
	rm -f "$(sbin)/rc-kexec" "$(sbin)/kexec-load" "$(sbin)/kexec-exec"
	rm -f "$(etc)/init.d/kexec-load" "$(etc)/init.d/kexec-exec"
	rm -f "$(sbin)/rc-kexec-init" "$(features)/rc-kexec.files" "$(features)/rc-kexec.modules"
	rm -f "$(dracut_module)/module-setup.sh" "$(mkinitcpio_hook)" "$(initramfs_tools_hook)"
	@[ ! -d "$(dracut_module)" ] || rmdir "$(dracut_module)"
	rm -f "$(man)/rc-kexec.8" "$(man)/kexec-load.8" "$(man)/kexec-exec.8"
	rm -f "$(bash)/rc-kexec" "$(bash)/kexec-load" "$(bash)/kexec-exec" "$(zsh)/_rc-kexec"
	[ "$$(readlink "$(bash)/kexec")" != rc-kexec ] || rm -f "$(bash)/kexec"
	rm -f "$(lib)/systemd/system/kexec-load@.service" "$(lib)/rc-kexec/kexec-load-flavour"
	@rmdir "$(lib)/rc-kexec" 2>/dev/null || :
	@cmp -s openrc/kexec-load.confd "$(etc)/conf.d/kexec-load" && rm -f "$(etc)/conf.d/kexec-load" || :
	[ ! -L "$(sbin)/kexec" ] || [ "$$(readlink "$(sbin)/kexec")" != rc-kexec ] || rm -f "$(sbin)/kexec"

demo: all
	sh tests/vm/setup.sh demo
	RC_KEXEC=$(binary) $(CARGO) bench --locked --quiet --target $(TARGET) --bench demo

test: check lint reproducible fuzz-briefly vm-test

# Without root, QEMU or network, once the toolchain is there.
check: all tiny sizes
	sh tests/toolchain.sh check
	$(CARGO) test --locked --target $(TARGET) --lib --bins
	RC_KEXEC=$(binary) $(CARGO) test --locked --target $(TARGET) --test cli --test trampoline --test install --test initramfs --test manual --test fuzzed
	RC_KEXEC=$(tiny) $(CARGO) test --locked --target $(TARGET) --test cli
	sh tests/toolchain.sh package
	RC_KEXEC=$(binary) $(CARGO) test --locked --target $(TARGET) --test package

lint: toolchain
	sh tests/toolchain.sh lint $(out)
	$(CARGO) fmt --check
	rustfmt --check --edition 2024 fuzz/src/main.rs
	$(CARGO) clippy --locked --quiet --target $(TARGET) --all-targets -- -D warnings
	$(CARGO) test --locked --quiet --target $(TARGET) --test policy
	sh tests/policy.sh $(out)
	shellcheck tests/*.sh tests/vm/*.sh link/*.sh .ci/run openrc/*.initd \
		initramfs-hook/rc-kexec-init initramfs-hook/dracut.sh initramfs-hook/mkinitcpio initramfs-hook/initramfs-tools \
		contrib/systemd/kexec-load-flavour completion/rc-kexec.bash
	shellcheck tests/alpine/*.sh alpine/dist.sh alpine/kernel-hook
	@# abuild reads what an APKBUILD sets, in BusyBox ash.
	shellcheck --shell=dash --exclude=SC2034,SC2154 alpine/APKBUILD alpine/*.post-install
	zsh -n completion/_rc-kexec
	mandoc -T lint -W warning man/*.8

# The program for the other machines that are booted.
others:
	$(MAKE) --no-print-directory all ARCH=aarch64
	$(MAKE) --no-print-directory all ARCH=i686

# Every parser and decoder, and the way from bytes to a plan, T seconds each; a failing input
# is kept in target/fuzz/failed. fuzz/failed is what tests/fuzzed.rs tries again.
T ?= 60
fuzz:
	sh tests/toolchain.sh fuzz
	sh tests/fuzz.sh $(out)/fuzz $(T)

fuzz-briefly:
	$(MAKE) --no-print-directory fuzz T=3

# Where fuzzing begins, made anew of the machines' parts.
seeds: vm-parts
	RC_KEXEC_SEEDS=1 $(CARGO) test --locked --release --target $(TARGET) --test vm -- --ignored --exact seeds::seeds

# The same bytes from the tarball, in another folder, as here.
reproducible: all tiny
	ARCH=$(ARCH) RC_KEXEC=$(binary) RC_KEXEC_TINY=$(tiny) \
		$(CARGO) test --locked --target $(HOST)-unknown-linux-musl --test reproducible -- --test-threads=1

reproducible-all:
	for arch in x86_64 aarch64 i686; do $(MAKE) --no-print-directory reproducible ARCH=$$arch || exit; done

vm-test: all others vm-parts guests
	@rm -f $(out)/vm/times
	RC_KEXEC=$(binary) $(CARGO) test --locked --release --target $(TARGET) --test vm -- --test-threads=2 $(VM_TEST)
	@echo "seconds in machines, the longest silence of one, machines, test:"
	@awk '{ s[$$1] += $$2; n[$$1]++; if ($$3 > q[$$1]) q[$$1] = $$3 } \
		END { for (t in s) printf "%7.1f %5.1f %2d %s\n", s[t], q[t], n[t], t }' $(out)/vm/times | sort -k4

# With twenty reboots in a row under every init, on every kernel, and the soak: half an hour more.
vm-test-long:
	$(MAKE) --no-print-directory vm-test VM_TEST=--include-ignored

# Beside kexec-tools: what both hand to kexec_load, field by field (tests/oracle/README.md).
oracle: all vm-parts guests
	RC_KEXEC=$(binary) $(CARGO) test --locked --release --target $(TARGET) --test vm -- --test-threads=2 oracle::
	@echo "the comparisons: $(out)/oracle/*.txt"

# What runs inside of the machines, to record calls and to make them fail.
guests: toolchain
	$(CARGO) build --locked --quiet --release --target $(TARGET) --example vm-record --example vm-injector

# A chain of kexecs in one machine; N=10 for a short one.
N ?= 200
soak: all vm-parts
	RC_KEXEC=$(binary) RC_KEXEC_SOAK=$(N) $(CARGO) test --locked --release --target $(TARGET) --test vm -- \
		--ignored --exact --nocapture soak::kexecs_in_a_chain_change_nothing

# A table and a plot in target/bench. BENCH="--arm64 --jumps": only these; --x86_64, --loads and
# --reboots, too. --runs=1: each once; --sizes=1,10: initrds of so many MB; --memory=6G.
bench: all others vm-parts
	$(CARGO) build --locked --quiet --release --target $(TARGET) --example vm-probe
	$(CARGO) build --locked --quiet --release --target aarch64-unknown-linux-musl --example vm-probe
	RC_KEXEC=$(binary) RC_KEXEC_PROBE=$(release)/examples/vm-probe \
		RC_KEXEC_PROBE_AARCH64=$(out)/aarch64-unknown-linux-musl/release/examples/vm-probe \
		$(CARGO) bench --locked --quiet --target $(TARGET) --bench peer -- $(BENCH)

# The promised sizes, in KiB: of the default build, and of the small one for each machine.
sizes: all $(addprefix tiny-,x86_64 aarch64 i686)
	@sh tests/sizes.sh $(binary) 512 $(foreach arch,x86_64 aarch64 i686,$(call tiny_of,$(arch)) 188)

tiny-%:
	$(MAKE) --no-print-directory tiny ARCH=$*

# What each dependency costs: the small build, looked at crate by crate.
costs:
	$(MAKE) --no-print-directory tiny out=$(out)/costs CARGO_PROFILE_RELEASE_STRIP=none
	@sh tests/costs.sh $(out)/costs/rc-kexec-tiny

# target/rc-kexec-VERSION.tar.gz, of what is committed; and target/alpine for abuild.
dist:
	@sh alpine/dist.sh $(out)

toolchain:
	@sh tests/toolchain.sh $(TARGET)

vm-parts:
	sh tests/vm/setup.sh

clean:
	rm -rf $(out)
