# apt_install PACKAGE… installs Debian packages without starting a service; it fails, with
# the reason in apt_why, where that is not possible. To be sourced.

apt_why=""
apt_log=tmp/apt.log

apt_install() {
	if [ "${WEIR_TEST_INSTALL:-1}" = 0 ]; then
		apt_why="WEIR_TEST_INSTALL=0"
	elif ! command -v apt-get >/dev/null; then
		apt_why="no apt-get on this machine"
	elif [ "$(id -u)" != 0 ]; then
		apt_why="only root can install packages"
	else
		apt_quietly "$@"
		return
	fi
	return 1
}

# The lists may be missing (a fresh image) or stale (a version that has gone), and a mirror
# may be busy; so: try, refresh the lists, try again, and once more after a pause.
apt_quietly() {
	local policy=/usr/sbin/policy-rc.d made="" pause done=1
	mkdir -p tmp
	if [ ! -e $policy ]; then # asks the packages' scripts not to start what they install
		printf '#!/bin/sh\nexit 101\n' >$policy && chmod 755 $policy && made=1
	fi
	apt_get_install "$@" && done=0
	for pause in 0 10 30; do
		[ $done = 0 ] && break
		sleep $pause
		apt-get -qq update >>$apt_log 2>&1 </dev/null || true
		apt_get_install "$@" && done=0
	done
	[ -n "$made" ] && rm -f $policy
	[ $done = 0 ] || apt_why="apt-get install $* failed: $(grep '^E:' $apt_log | tail -n 1)"
	return $done
}

apt_get_install() {
	DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends \
		-o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confold \
		install "$@" >>$apt_log 2>&1 </dev/null
}
