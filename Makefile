# rc-kexec. `make` builds it, `make test` tests everything, `make demo` shows it at work;
# `make help` lists all targets, from the lines that begin with ##.

# x86_64, aarch64 or i686. A build for another machine than this one has its name added.
HOST := $(shell uname -m | sed 's/^i.86$$/i686/')
ARCH ?= $(HOST)
TARGET ?= $(ARCH)-unknown-linux-musl
PREFIX ?= /usr
DESTDIR ?=
# yes: also make kexec a link to rc-kexec, instead of kexec-tools' program.
KEXEC_LINK ?= no
# The generators whose hooks are installed, separated with commas: mkinitfs, dracut,
# mkinitcpio, initramfs-tools.
INITRAMFS ?=
# yes: install the systemd unit instead of the OpenRC services.
SYSTEMD ?= no
# yes: install what the build lacks. Otherwise `make` only prints the command that does, since
# whoever builds or installs a program has not asked for more. The targets for developers set it.
SETUP ?= no
export SETUP
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

# The hooks go where their generators look for them, whatever PREFIX is.
comma := ,
generators = mkinitfs dracut mkinitcpio initramfs-tools
asked_for = $(subst $(comma), ,$(INITRAMFS))
features = $(etc)/mkinitfs/features.d
dracut_module = $(DESTDIR)/usr/lib/dracut/modules.d/90rc-kexec
mkinitcpio_hook = $(DESTDIR)/usr/lib/initcpio/install/rc-kexec
initramfs_tools_hook = $(DESTDIR)/usr/share/initramfs-tools/hooks/rc-kexec
# install_with_prefix FILE,AS,MODE: with PREFIX in the paths that the file names.
install_with_prefix = install -d "$(dir $(2))" && \
	sed -e 's|/usr/sbin/|$(PREFIX)/sbin/|g' -e 's|/usr/lib/rc-kexec/|$(PREFIX)/lib/rc-kexec/|' "$(1)" >"$(2)" && chmod $(3) "$(2)"
# install_hook GENERATOR,FILE,AS,MODE: if INITRAMFS names the generator.
install_hook = @$(if $(filter $(1),$(asked_for)),$(call install_with_prefix,initramfs-hook/$(2),$(3),$(4)),:)

# Each flag was measured: see docs/measurements.md. They are for the program only; the builds
# of the tests keep what they need to unwind.
flags_link = -Clink-arg=--hash-style=gnu -Clink-arg=-O2
flags_stable = $(flags_link) -Cforce-unwind-tables=no -Clink-arg=-T$(CURDIR)/link/no-unwind.ld
# The small build compiles std itself, without unwinding tables and without the text of panics.
# On 32-bit x86, what the outliner makes of compiler_builtins does not assemble.
outliner = $(if $(filter-out i686,$(ARCH)),-Cllvm-args=-enable-machine-outliner=always)
# Rust makes no position-independent executables for 32-bit x86, where they would be 12 KB
# larger.
fixed = $(if $(filter i686,$(ARCH)),-Crelocation-model=static)
flags_tiny = $(flags_stable) $(fixed) -Zunstable-options -Cpanic=immediate-abort -Zlocation-detail=none \
	-Zfmt-debug=none -Cllvm-args=-inline-threshold=8 $(outliner) -Cllvm-args=-enable-pre=false \
	-Cllvm-args=-min-jump-table-entries=8

.PHONY: all tiny others install uninstall dist clean help demo test check lint fuzz fuzz-briefly seeds \
	reproducible reproducible-all vm-test vm-test-long vm-parts guests oracle bench soak sizes costs toolchain

# These, and what is built for them, install what is missing.
demo test check lint fuzz fuzz-briefly seeds reproducible reproducible-all vm-test vm-test-long guests oracle \
	bench soak sizes costs: export SETUP = yes

## all: build target/rc-kexec with stable Rust (the default)
# cargo fetch comes first: remap.sh looks at where the crates are. Its flags are for all crates,
# unlike the others.
all: toolchain
	$(CARGO) fetch --quiet --locked --target $(TARGET)
	$(rustflags)="$$(sh link/remap.sh)" \
	$(CARGO) rustc --locked --release --target $(TARGET) --bin rc-kexec -- $(flags_stable)
	cp $(release)/rc-kexec $(binary)

## tiny: build target/rc-kexec-tiny, with a standard library built for size
# RUSTC_BOOTSTRAP lets the stable compiler build its own standard library.
tiny:
	@sh tests/toolchain.sh $(TARGET) source
	RUSTC_BOOTSTRAP=1 \
	$(rustflags)="$(flags_tiny)" \
	$(CARGO) build --locked --release --target $(TARGET) --target-dir $(out)/tiny --bin rc-kexec --no-default-features \
		--config 'profile.release.opt-level="z"' \
		$(foreach crate,miniz_oxide adler2,--config 'profile.release.package.$(crate).opt-level="z"') \
		-Zbuild-std=std,panic_abort -Zbuild-std-features=optimize_for_size
	cp $(out)/tiny/$(TARGET)/release/rc-kexec $(tiny)

## others: build the program for the other machines that the tests boot
others:
	$(MAKE) --no-print-directory all ARCH=aarch64
	$(MAKE) --no-print-directory all ARCH=i686

## install: install the program, its manual pages and the OpenRC services
# BINARY=target/rc-kexec-tiny installs the small build.
BINARY ?= $(binary)
install:
	@[ -z "$(filter-out $(generators),$(asked_for))" ] || \
		{ echo "make install: INITRAMFS=$(INITRAMFS) is not known; use one or more, separated with commas, of: $(generators)" >&2; exit 1; }
	@[ -e "$(BINARY)" ] || { echo "make install: $(BINARY) does not exist; run: make" >&2; exit 1; }
	install -d "$(sbin)"
	install -m 755 "$(BINARY)" "$(sbin)/rc-kexec"
	ln -sf rc-kexec "$(sbin)/kexec-load"
	ln -sf rc-kexec "$(sbin)/kexec-exec"
	[ "$(KEXEC_LINK)" != yes ] || ln -sf rc-kexec "$(sbin)/kexec"
	install -d "$(man)" "$(bash)" "$(zsh)"
	install -m 644 man/rc-kexec.8 man/kexec-load.8 man/kexec-exec.8 "$(man)"
	install -m 644 completion/rc-kexec.bash "$(bash)/rc-kexec"
	for name in kexec-load kexec-exec $(if $(filter yes,$(KEXEC_LINK)),kexec); do ln -sf rc-kexec "$(bash)/$$name"; done
	install -m 644 completion/_rc-kexec "$(zsh)"
ifeq ($(SYSTEMD),yes)
	install -d "$(lib)/rc-kexec"
	install -m 755 contrib/systemd/kexec-load-flavour "$(lib)/rc-kexec/"
	$(call install_with_prefix,contrib/systemd/kexec-load@.service,$(lib)/systemd/system/kexec-load@.service,644)
	$(call install_with_prefix,contrib/systemd/kdump.service,$(lib)/systemd/system/kdump.service,644)
else
	install -d "$(etc)/init.d" "$(etc)/conf.d"
	@# Alpine's wiki has services with these names.
	@for name in kexec-load kexec-exec kdump; do \
		! [ -e "$(etc)/init.d/$$name" ] || grep -q -e 'rc-kexec going-down' -e /rc-kexec/kdump "$(etc)/init.d/$$name" || \
			echo "make install: $(etc)/init.d/$$name was another program's service; this one replaces it" >&2; \
	done
	install -m 755 openrc/kexec-load.initd "$(etc)/init.d/kexec-load"
	install -m 755 openrc/kexec-exec.initd "$(etc)/init.d/kexec-exec"
	$(call install_with_prefix,openrc/kdump.initd,$(etc)/init.d/kdump,755)
	@# Settings that somebody changed stay.
	@for name in kexec-load kdump; do \
		[ -e "$(etc)/conf.d/$$name" ] || install -m 644 openrc/$$name.confd "$(etc)/conf.d/$$name"; \
	done
endif
	$(call install_with_prefix,openrc/kdump,$(lib)/rc-kexec/kdump,755)
	@# An initramfs runs it with rckexec.dev= and its like, and after a crash.
	install -m 755 initramfs-hook/rc-kexec-init "$(sbin)/rc-kexec-init"
	$(call install_with_prefix,man/rc-kexec-init.8,$(man)/rc-kexec-init.8,644)
	$(call install_hook,mkinitfs,mkinitfs.files,$(features)/rc-kexec.files,644)
	$(call install_hook,mkinitfs,mkinitfs.modules,$(features)/rc-kexec.modules,644)
	$(call install_hook,dracut,dracut.sh,$(dracut_module)/module-setup.sh,755)
	$(call install_hook,mkinitcpio,mkinitcpio,$(mkinitcpio_hook),644)
	$(call install_hook,initramfs-tools,initramfs-tools,$(initramfs_tools_hook),755)

## uninstall: remove what install put there, except settings that were changed
uninstall:
	rm -f "$(sbin)/rc-kexec" "$(sbin)/kexec-load" "$(sbin)/kexec-exec"
	rm -f "$(etc)/init.d/kexec-load" "$(etc)/init.d/kexec-exec" "$(etc)/init.d/kdump"
	rm -f "$(sbin)/rc-kexec-init" "$(features)/rc-kexec.files" "$(features)/rc-kexec.modules"
	rm -f "$(dracut_module)/module-setup.sh" "$(mkinitcpio_hook)" "$(initramfs_tools_hook)"
	@[ ! -d "$(dracut_module)" ] || rmdir "$(dracut_module)"
	rm -f "$(man)/rc-kexec.8" "$(man)/kexec-load.8" "$(man)/kexec-exec.8" "$(man)/rc-kexec-init.8"
	rm -f "$(bash)/rc-kexec" "$(bash)/kexec-load" "$(bash)/kexec-exec" "$(zsh)/_rc-kexec"
	[ "$$(readlink "$(bash)/kexec")" != rc-kexec ] || rm -f "$(bash)/kexec"
	rm -f "$(lib)/systemd/system/kexec-load@.service" "$(lib)/systemd/system/kdump.service"
	rm -f "$(lib)/rc-kexec/kexec-load-flavour" "$(lib)/rc-kexec/kdump"
	@rmdir "$(lib)/rc-kexec" 2>/dev/null || :
	@for name in kexec-load kdump; do \
		! cmp -s openrc/$$name.confd "$(etc)/conf.d/$$name" || rm -f "$(etc)/conf.d/$$name"; \
	done
	[ ! -L "$(sbin)/kexec" ] || [ "$$(readlink "$(sbin)/kexec")" != rc-kexec ] || rm -f "$(sbin)/kexec"

## dist: make target/rc-kexec-VERSION.tar.gz from what is committed, and target/alpine for abuild
dist:
	@sh alpine/dist.sh $(out)

## clean: remove target/
clean:
	rm -rf $(out)

## help: list the targets
help:
	@awk '/^## / { name = $$2; sub(":", "", name); $$1 = $$2 = ""; printf "make %-16s %s\n", name, substr($$0, 3) }' $(MAKEFILE_LIST)

## demo: boot a kernel in QEMU that loads and starts a second one
demo: all
	sh tests/vm/setup.sh demo
	RC_KEXEC=$(binary) $(CARGO) bench --locked --quiet --target $(TARGET) --bench demo

## test: run check, lint, reproducible, fuzz-briefly and vm-test
# What each target needs is installed first, as two installations cannot run at the same time.
test:
	@sh tests/toolchain.sh $(TARGET) source check package fuzz lint
	@sh tests/vm/setup.sh install
	sh tests/together.sh $(MAKE) $(out)/log check vm-parts
	sh tests/together.sh $(MAKE) $(out)/log lint reproducible
	$(MAKE) --no-print-directory fuzz-briefly
	$(MAKE) --no-print-directory vm-test

## check: run the unit tests, and test the program from outside: no root, no QEMU, no network
check: all tiny sizes
	@sh tests/toolchain.sh check package
	$(CARGO) test --locked --target $(TARGET) --lib --bins
	RC_KEXEC=$(binary) $(CARGO) test --locked --target $(TARGET) --test cli --test trampoline --test install --test initramfs --test kdump --test manual --test fuzzed
	RC_KEXEC=$(tiny) $(CARGO) test --locked --target $(TARGET) --test cli
	RC_KEXEC=$(binary) $(CARGO) test --locked --target $(TARGET) --test package

## lint: check style, and the policy for crates and unsafe code
lint:
	@sh tests/toolchain.sh $(TARGET) lint
	$(CARGO) fmt --check
	rustfmt --check --edition 2024 fuzz/src/main.rs
	$(CARGO) clippy --locked --quiet --target $(TARGET) --all-targets -- -D warnings
	@# The documentation, and its examples compile.
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --quiet --no-deps --lib --target $(TARGET)
	$(CARGO) test --locked --quiet --target $(TARGET) --doc
	$(CARGO) test --locked --quiet --target $(TARGET) --test policy
	sh tests/policy.sh $(out)
	shellcheck tests/*.sh tests/vm/*.sh link/*.sh .ci/run openrc/*.initd openrc/kdump \
		initramfs-hook/rc-kexec-init initramfs-hook/dracut.sh initramfs-hook/mkinitcpio initramfs-hook/initramfs-tools \
		contrib/systemd/kexec-load-flavour completion/rc-kexec.bash
	shellcheck tests/alpine/*.sh alpine/dist.sh alpine/kernel-hook
	@# abuild reads the variables that an APKBUILD sets, in BusyBox ash.
	shellcheck --shell=dash --exclude=SC2034,SC2154 alpine/APKBUILD alpine/*.post-install
	zsh -n completion/_rc-kexec
	mandoc -T lint -W warning man/*.8

## fuzz: fuzz every parser, every decoder, and the way from bytes to a plan, T=60 seconds each
# An input that fails is kept in target/fuzz/failed. tests/fuzzed.rs tries those in fuzz/failed again.
T ?= 60
fuzz:
	@sh tests/toolchain.sh fuzz
	sh tests/fuzz.sh $(out)/fuzz $(T)

## fuzz-briefly: fuzz for three seconds each
fuzz-briefly:
	$(MAKE) --no-print-directory fuzz T=3

## seeds: make the inputs that fuzzing begins with again, from the parts of the test machines
seeds: vm-parts
	RC_KEXEC_SEEDS=1 $(CARGO) test --locked --release --target $(TARGET) --test vm -- --ignored --exact seeds::seeds

## reproducible: build both programs again from the tarball, in another folder, and compare
reproducible: all tiny
	ARCH=$(ARCH) RC_KEXEC=$(binary) RC_KEXEC_TINY=$(tiny) \
		$(CARGO) test --locked --target $(HOST)-unknown-linux-musl --test reproducible -- --test-threads=1

## reproducible-all: the same for each machine
reproducible-all:
	for arch in x86_64 aarch64 i686; do $(MAKE) --no-print-directory reproducible ARCH=$$arch || exit; done

# A machine waits for a tenth of its time: three of them keep two processors busy.
## vm-test: run the tests that boot machines; VM_TEST=WORD runs those with WORD in their names
vm-test: all others vm-parts guests
	@rm -f $(out)/vm/times
	RC_KEXEC=$(binary) $(CARGO) test --locked --release --target $(TARGET) --test vm -- --test-threads=3 $(VM_TEST)
	@echo "seconds in machines, the longest silence of one, machines, test:"
	@awk '{ s[$$1] += $$2; n[$$1]++; if ($$3 > q[$$1]) q[$$1] = $$3 } \
		END { for (t in s) printf "%7.1f %5.1f %2d %s\n", s[t], q[t], n[t], t }' $(out)/vm/times | sort -k4

## vm-test-long: run all of them, with twenty reboots in a row and the soak: half an hour more
vm-test-long:
	$(MAKE) --no-print-directory vm-test VM_TEST=--include-ignored

## oracle: compare what rc-kexec and kexec-tools hand to kexec_load, field by field
# Every difference has its reason in tests/oracle/README.md.
oracle: all vm-parts guests
	RC_KEXEC=$(binary) $(CARGO) test --locked --release --target $(TARGET) --test vm -- --test-threads=2 oracle::
	@echo "the comparisons: $(out)/oracle/*.txt"

## guests: build the programs that record calls inside the machines, and make them fail
guests: toolchain
	$(CARGO) build --locked --quiet --release --target $(TARGET) --example vm-record --example vm-injector

## soak: go through a chain of N=200 kexecs in one machine
N ?= 200
soak: all vm-parts
	RC_KEXEC=$(binary) RC_KEXEC_SOAK=$(N) $(CARGO) test --locked --release --target $(TARGET) --test vm -- \
		--ignored --exact --nocapture soak::kexecs_in_a_chain_change_nothing

## bench: measure rc-kexec beside kexec-tools; the table and a plot go to target/bench
# BENCH="--arm64 --jumps" measures only these; so do --x86_64, --loads and --reboots. --runs=1
# measures each once; --sizes=1,10 uses initrds of so many MB; --memory=6G sets the machine's.
bench: all others vm-parts
	$(CARGO) build --locked --quiet --release --target $(TARGET) --example vm-probe
	$(CARGO) build --locked --quiet --release --target aarch64-unknown-linux-musl --example vm-probe
	RC_KEXEC=$(binary) RC_KEXEC_PROBE=$(release)/examples/vm-probe \
		RC_KEXEC_PROBE_AARCH64=$(out)/aarch64-unknown-linux-musl/release/examples/vm-probe \
		$(CARGO) bench --locked --quiet --target $(TARGET) --bench peer -- $(BENCH)

## sizes: print the size of each build, and fail if one is over its limit
# The limits are in KiB: of the default build, and of the small one for each machine.
sizes: all $(addprefix tiny-,x86_64 aarch64 i686)
	@sh tests/sizes.sh $(binary) 600 $(foreach arch,x86_64 aarch64 i686,$(call tiny_of,$(arch)) 256)

tiny-%:
	$(MAKE) --no-print-directory tiny ARCH=$*

## costs: print what each crate costs in the small build
costs:
	$(MAKE) --no-print-directory tiny out=$(out)/costs CARGO_PROFILE_RELEASE_STRIP=none
	@sh tests/costs.sh $(out)/costs/rc-kexec-tiny

## toolchain: check that the toolchain is complete
toolchain:
	@sh tests/toolchain.sh $(TARGET)

## vm-parts: fetch and build the parts of the test machines
vm-parts:
	sh tests/vm/setup.sh
