# shellcheck shell=sh disable=SC3043,SC3044,SC2016 # ash and dash know local; the rest is for bash
# Completion for bash, with bash-completion or without: install it, or source it.
#
# BusyBox's ash and dash have no programmable completion. They can source this file, and it
# does nothing there.

# bash passes the command, the word that is typed, and the word before it.
_rc_kexec() {
	local applet option typed before what load
	applet=${1##*/} typed=$2 option=$3 before=
	unset COMPREPLY
	if [ "$applet" = rc-kexec ]; then
		if [ "$COMP_CWORD" = 1 ]; then
			_rc_kexec_reply "$typed" -W 'kexec-load kexec-exec kexec doctor going-down boot-options vmcore --help -h --version -v'
			return 0
		fi
		eval 'applet=${COMP_WORDS[1]}'
	fi
	# --OPTION=VALUE is three words, or one if the user set COMP_WORDBREAKS so.
	case $typed in
	=) typed= ;;
	--*=*) option=${typed%%=*} before=$option= typed=${typed#*=} ;;
	esac
	[ "$option" != = ] || eval 'option=${COMP_WORDS[COMP_CWORD-2]}'

	what='--help -h --version -v'
	load='--initrd --append --command-line --reuse-cmdline --dtb --boot --flavour --add-file --crypt-key --force --from-environment'
	case $applet in
	kexec-load) what="$what $load --crash --syscall --dry-run --type --unload --status --debug -d" ;;
	kexec-exec) what="$what --when-unknown --now --debug -d" ;;
	kexec)
		what="$what --load -l --exec -e --force -f --unload -u --status -S --load-panic -p --debug -d \
			--initrd --append --command-line --reuse-cmdline --dtb --type -t --mem-min --mem-max \
			--kexec-syscall -c --kexec-file-syscall -s --kexec-syscall-auto -a \
			--noefi --no-sync -y --no-checks -i --no-ifdown -x"
		;;
	doctor) what="$what $load --crash --porcelain --warn --when-unknown" ;;
	going-down) what="$what --when-unknown --arm --disarm --setup --skip --rescue" ;;
	boot-options) ;;
	vmcore) what="$what --keep --elf" ;;
	*) return 0 ;;
	esac

	case $applet:$option in
	*:--initrd | *:--ramdisk | *:--dtb | *:--add-file | *:--crypt-key) _rc_kexec_reply "$typed" -f ;;
	*:--boot) _rc_kexec_reply "$typed" -d ;;
	*:--when-unknown) _rc_kexec_reply "$typed" -W 'reboot kexec' ;;
	*:--keep) _rc_kexec_reply "$typed" -W 'cache user free all none' ;;
	*:--syscall) _rc_kexec_reply "$typed" -W 'auto load file' ;;
	kexec:--type | kexec:-t) _rc_kexec_reply "$typed" -W 'auto bzImage Image vmlinuz vmlinux uki' ;;
	*:--append | *:--command-line | *:--mem-min | *:--mem-max) ;;
	*)
		case $applet:$typed in
		*:-*) _rc_kexec_reply "$typed" -W "$what" ;;
		vmcore:*) if [ "$COMP_CWORD" = 2 ]; then _rc_kexec_reply "$typed" -W 'dmesg save info place'; else _rc_kexec_reply "$typed" -f; fi ;;
		kexec-exec:* | going-down:* | boot-options:*) ;;
		*) _rc_kexec_reply "$typed" -f ;;
		esac
		;;
	esac
}

# Offers what compgen finds for a word. compgen must not see $before, a part of that word.
_rc_kexec_reply() {
	local found
	found=$(compgen -P "$before" "$2" ${3+"$3"} -- "$1") || return 0
	case $2 in
	-f | -d) compopt -o filenames 2>/dev/null ;;
	esac
	mapfile -t COMPREPLY <<EOF
$found
EOF
}

if [ -n "${BASH_VERSION:-}" ]; then
	complete -F _rc_kexec rc-kexec kexec-load kexec-exec
	# kexec may be kexec-tools' program.
	case $(readlink "$(command -v kexec)") in
	rc-kexec | */rc-kexec) complete -F _rc_kexec kexec ;;
	esac
fi
