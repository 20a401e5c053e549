# Settings of kexec-load and kexec-exec. Each is shown with its default; every one
# may stay as it is.

# The kernel, and its initrds with spaces between. When empty, the installed kernel
# of the running flavour is found in kexec_boot; and the initramfs and microcode beside
# the kernel, by its name (initramfs-X for vmlinuz-X). "none" is no initrd.
#kexec_kernel=""
#kexec_initrds=""

# What is added to the running kernel's command line, or a command line in its place.
#kexec_append=""
#kexec_command_line=""

# Where installed kernels are. Where it is a file system of /etc/fstab that is not
# mounted, "yes" mounts it, read-only, for as long as it takes to load.
#kexec_boot="/boot"
#kexec_mount_boot="yes"

# When to load: "shutdown", at a reboot, so that what is installed by then is what is
# started; or "start", with the service, which is known to work before it is needed;
# after an upgrade of the kernel, restart the service then. A kernel that somebody
# loaded by hand is kept.
#kexec_load_at="shutdown"

# What to do when a reboot cannot be told from a poweroff: "reboot" in the ordinary
# way, or "kexec", which starts a machine again that was to be powered off.
#kexec_when_unknown="reboot"

# For a root that Alpine's initramfs unlocks (cryptroot= on the command line): a file on
# the encrypted root with a key to it, readable by root alone. A reboot by kexec then
# asks for no passphrase. What is exposed by it and for how long is in kexec-load(8),
# SECURITY. Only with kexec_load_at="shutdown". The file is refused where its file system is
# not known to be encrypted, unless the second says "yes".
#kexec_crypt_key=""
#kexec_crypt_key_force="no"
