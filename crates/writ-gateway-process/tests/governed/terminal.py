"""Types at an interactive shell in a terminal of its own, and reads what comes back. The arguments are what makes a command governed."""
import fcntl, os, pty, re, select, shlex, signal, struct, sys, termios, time

prefix = shlex.join(sys.argv[1:])
# Whatever hangs, this ends.
signal.alarm(600)
pid, terminal = pty.fork()
if pid == 0:
    os.environ.update(PS1='outer> ', TERM='vt100', HISTFILE='', LESS='', SHELL='/bin/bash')
    os.execvp('bash', ['bash', '--norc', '--noprofile', '-i'])
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack('HHHH', 33, 101, 0, 0))
seen = ''

def expect(pattern):
    """Reads until the pattern has come, and forgets what came before its end."""
    global seen
    end = time.monotonic() + 60
    while not (found := re.search(pattern, seen)):
        if not select.select([terminal], [], [], max(0, end - time.monotonic()))[0]: sys.exit(f'{pattern!r} did not come: {seen!r}')
        try: seen += os.read(terminal, 65536).decode(errors='replace')
        except OSError: sys.exit(f'the shell ended before {pattern!r}: {seen!r}')
    seen = seen[found.end():]

def type(text): os.write(terminal, text.encode())
def line(text): type(text + '\r')
def foreground():
    return os.tcgetpgrp(terminal)
def group_of(name):
    """Waits until the group in the foreground holds a process of this name, as what is typed before may go to another."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        for found in filter(str.isdigit, os.listdir('/proc')):
            try: comm, rest = open(f'/proc/{found}/stat').read().split('(', 1)[1].rsplit(')', 1)
            except OSError: continue
            if comm == name and int(rest.split()[2]) == foreground(): return int(found)
        time.sleep(0.005)
    sys.exit(f'{name} is not in the foreground: {seen!r}')
def settled(): expect('outer> ')

settled()
# The window's size.
line(f'{prefix} stty size'); expect('33 101'); settled()
# Ctrl-C ends what is in the foreground, and the shell outside sees it.
line(f'{prefix} cat'); group_of('cat'); type('one\r'); expect('one\r\none'); type('\x03'); settled()
line('echo "status:$?"'); expect(r'status:130'); settled()
# Ctrl-Z stops the whole, `fg` of the shell outside continues it.
line(f'{prefix} cat'); group_of('cat'); type('two\r'); expect('two\r\ntwo'); type('\x1a'); expect('Stopped'); settled()
line('jobs; echo "jobs:$?"'); expect('Stopped'); expect('jobs:0'); settled()
line('fg'); expect('cat'); group_of('cat'); type('three\r'); expect('three\r\nthree'); type('\x04'); settled()
line('echo "status:$?"'); expect('status:0'); settled()
# In the background, and then killed.
line(f"{prefix} sh -c 'echo u''p; sleep 1000' &"); expect('up\r'); line('kill %1; wait %1; echo "status:$?"'); expect(r'status:143'); settled()
# A shell with job control inside.
line(f"PS1='inner> ' {prefix} bash --norc --noprofile -i"); expect('inner> ')
line('sleep 1000 &'); expect(r'\[1\] \d+'); expect('inner> ')
line('jobs'); expect('Running +sleep'); expect('inner> ')
line('fg'); expect('sleep 1000'); group_of('sleep'); type('\x1a'); expect('Stopped +sleep'); expect('inner> ')
line('fg'); expect('sleep 1000'); group_of('sleep'); type('\x03'); expect('inner> ')
line('echo "status:$?"'); expect('status:130'); expect('inner> ')
line('cat'); group_of('cat'); type('four\r'); expect('four\r\nfour'); type('\x03'); expect('inner> ')
# The shell inside is killed while a job of its own has the terminal: the shell outside has it back.
line('(trap "" TTOU; kill -KILL $$; sleep 1000)'); settled()
line('echo "again:$((40 + 2))"'); expect('again:42'); settled()
line(f"PS1='inner> ' {prefix} bash --norc --noprofile -i"); expect('inner> '); line('kill -KILL $$'); settled()
line('echo "status:$?"'); expect('status:137'); settled()
line(f"PS1='inner> ' {prefix} bash --norc --noprofile -i"); expect('inner> '); line('exit 9'); settled()
line('echo "status:$?"'); expect('status:9'); settled()
# A pager, stopped and continued, and an editor that has the terminal in its own mode.
line(f'seq 1000 | {prefix} less'); group_of('less'); expect('\r\n30'); type('\x1a'); expect('Stopped'); settled()
line('fg'); group_of('less'); type('G'); expect('1000'); type('q'); settled()
editor = next((name for name in ('vim.basic', 'vim.tiny', 'nano') if os.path.exists(f'/usr/bin/{name}')), None)
if editor in ('vim.basic', 'vim.tiny'):
    line(f'{prefix} {editor} -u NONE -n written'); group_of(editor); expect('written'); type('ihello\x1b'); type(':w\r'); expect('written'); type('\x1a'); expect('Stopped'); settled()
    line('fg'); group_of(editor); type('A again\x1b:wq\r'); settled()
    line('cat written'); expect('hello again'); settled()
line('exit')
end = time.monotonic() + 60
while not os.waitpid(pid, os.WNOHANG)[0]:
    if time.monotonic() > end: sys.exit('the shell does not end')
    time.sleep(0.005)
print('all went well')
