package child

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/weirlog/weir/internal/ledger"
)

// errWell is how a program ends that has nothing to complain about.
var errWell = errors.New("exit status 0")

// running is a program that was started.
type running struct {
	pid   int
	in    *os.File
	out   *os.File
	lines *bufio.Reader // of out
	long  []byte        // a line that is longer than the buffer of lines

	ended  chan struct{} // closed when it has been waited for
	result error         // how it ended; read after ended is closed
	said   chan struct{} // closed when its standard error is read
	errors *os.File
}

// start runs the program.
func start(o Options) (*running, error) {
	cmd := exec.Command(o.Command[0], o.Command[1:]...)
	cmd.Dir = o.Dir
	if cmd.Dir == "" {
		cmd.Dir = "/"
	}
	cmd.Env = []string{}
	for _, name := range []string{"PATH", "HOME", "LANG", "TZ"} {
		if value, ok := os.LookupEnv(name); ok {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	for name, value := range o.Env {
		cmd.Env = append(cmd.Env, name+"="+string(value))
	}
	// A group, so that what it starts ends with it; and the kernel ends it with weir.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	r := &running{ended: make(chan struct{}), said: make(chan struct{})}
	theirs, err := r.pipes(cmd)
	if err != nil {
		return nil, err
	}
	started := make(chan error)
	go r.keep(cmd, started)
	err = <-started
	for _, f := range theirs {
		f.Close()
	}
	if err != nil {
		r.in.Close()
		r.out.Close()
		r.errors.Close()
		return nil, fmt.Errorf("start %s: %w", o.Command[0], err)
	}
	go r.listen(o)
	return r, nil
}

// pipes connects the program. It returns the ends that are the program's.
func (r *running) pipes(cmd *exec.Cmd) (theirs []*os.File, err error) {
	var ours []*os.File
	pipe := func() (read, write *os.File) {
		if err != nil {
			return nil, nil
		}
		read, write, err = os.Pipe()
		return read, write
	}
	var in, out, trouble *os.File
	in, r.in = pipe()
	r.out, out = pipe()
	r.errors, trouble = pipe()
	theirs, ours = []*os.File{in, out, trouble}, []*os.File{r.in, r.out, r.errors}
	if err != nil {
		for _, f := range append(theirs, ours...) {
			if f != nil {
				f.Close()
			}
		}
		return nil, fmt.Errorf("connect the program: %w", err)
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, trouble
	r.lines = bufio.NewReaderSize(r.out, 64<<10)
	return theirs, nil
}

// keep starts the program and waits for it. The kernel takes the end of the thread that
// started it for the end of weir, so this one is kept for as long.
func (r *running) keep(cmd *exec.Cmd, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(r.ended)
	err := cmd.Start()
	if err == nil {
		r.pid = cmd.Process.Pid
	}
	started <- err
	if err != nil {
		return
	}
	r.result = cmd.Wait()
	r.kill() // what it leaves behind
	if r.result == nil {
		r.result = errWell
	}
}

// kill ends the whole group.
func (r *running) kill() { _ = syscall.Kill(-r.pid, syscall.SIGKILL) }

// stop ends the program and returns how it ended. It may take that long to end by itself when
// its input does.
func (r *running) stop(grace time.Duration) error {
	r.in.Close()
	// A program that has just closed its output is about to end, and should say how.
	patience := time.NewTimer(max(grace, 100*time.Millisecond))
	defer patience.Stop()
	select {
	case <-r.ended:
	case <-patience.C:
		r.kill()
		<-r.ended
	}
	r.out.Close()
	r.errors.Close() // else somebody who has left the group could keep it open
	<-r.said
	return r.result
}

// surplus tells whether the program has written, or closed its output, since it was asked.
func (r *running) surplus() bool {
	select {
	case <-r.ended:
		return true
	default:
	}
	raw, err := r.out.SyscallConn()
	if err != nil {
		return true
	}
	var one [1]byte
	something := false
	err = raw.Read(func(fd uintptr) bool {
		n, err := syscall.Read(int(fd), one[:])
		something = n > 0 || !errors.Is(err, syscall.EAGAIN)
		return true
	})
	return something || err != nil
}

// The bounds of what is logged of standard error.
const (
	maxSaid   = 2048 // bytes of a line
	saidEvery = time.Second
	maxLogged = 10 // lines in that time
)

// listen logs what the program writes to standard error.
func (r *running) listen(o Options) {
	defer close(r.said)
	lines := bufio.NewReaderSize(r.errors, maxSaid)
	var since time.Time
	logged, more := 0, false
	for {
		part, err := lines.ReadSlice('\n')
		if now := time.Now(); now.Sub(since) >= saidEvery {
			since, logged = now, 0
		}
		// What is left of a line that is too long is not shown.
		if text := strings.TrimRight(string(part), "\r\n"); text != "" && !more {
			if logged++; logged <= maxLogged {
				o.Log.Info("the program says", "text", Harmless(text))
			} else if o.Ledger != nil {
				o.Ledger.Events("line of the program not logged", 1)
			}
		}
		more = errors.Is(err, bufio.ErrBufferFull)
		if err != nil && !more {
			return
		}
	}
}

// Harmless returns text without what a terminal might obey.
func Harmless(text string) string {
	return strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, text)
}

// Shown returns the start of what a program wrote, for a message.
func Shown(line []byte) string { return strconv.Quote(Harmless(ledger.Shorten(line))) }
