"""Types at an interactive shell, and prints what a person would see, with the names of processes and of the gateway taken out: what is governed
and what is not must print the same. The arguments are what makes a command governed. What is waited for is what can be seen, or the state of a process."""
import fcntl, os, pty, re, select, shlex, signal, struct, sys, termios, time

prefix = shlex.join(sys.argv[1:])
PATIENCE = 60
# Whatever hangs, this ends.
signal.alarm(600)

def until(what, holds):
    end = time.monotonic() + PATIENCE
    while not (found := holds()):
        if time.monotonic() > end: sys.exit(f'waited too long until {what}, governed by {prefix!r}:\n' + '\n'.join(map(str, sorted(processes().items()))))
        time.sleep(0.002)
    return found

def processes():
    """Number: name, state, parent, group, session."""
    table = {}
    for found in filter(str.isdigit, os.listdir('/proc')):
        try: name, rest = open(f'/proc/{found}/stat').read().split('(', 1)[1].rsplit(')', 1)
        except OSError: continue
        state, parent, group, session = rest.split()[:4]
        table[int(found)] = name, state, int(parent), int(group), int(session)
    return table

class Shell:
    """An interactive shell with a terminal of its own."""
    def __init__(self):
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.environ.update(PS1='outer> ', TERM='vt100', HISTFILE='', LESS='', SHELL='/bin/bash', P=prefix, INNER='inner> ')
            os.execvp('bash', ['bash', '--norc', '--noprofile', '-i'])
        self.size(33, 101)
        self.seen, self.told, self.echoes = '', '', False
        self.settled()

    def size(self, rows, columns): fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))

    def read(self):
        if not select.select([self.terminal], [], [], PATIENCE)[0]: return False
        try: text = os.read(self.terminal, 65536).decode(errors='replace')
        except OSError: return False
        self.seen += text
        return text != ''

    def expect(self, pattern):
        """Reads until the pattern has come; what comes after it is for the next one."""
        while not (found := re.search(pattern, self.seen)):
            if not self.read(): sys.exit(f'{pattern!r} did not come after {self.told!r}: {self.seen!r}')
        self.told += self.seen[:found.end()]
        self.seen = self.seen[found.end():]
        self.echoes = False

    def settled(self): self.expect('outer> ')
    def type(self, text): os.write(self.terminal, text.encode())
    def line(self, text): self.type(text + '\r'); self.echoes = True
    def do(self, text): self.line(text); self.settled()
    def status(self): self.do('echo "status:$?"')

    def foreground(self, name):
        """Waits until the group in the foreground holds a process of this name that waits for something, and what was typed for it is read."""
        if self.echoes: self.expect('\n')
        def found():
            group = os.tcgetpgrp(self.terminal)
            return [pid for pid, (comm, state, _, of, _) in processes().items() if comm.startswith(name) and of == group and state == 'S']
        return until(f'{name} is in the foreground', found)

    def at_prompt(self): until('the shell is in the foreground', lambda: os.tcgetpgrp(self.terminal) == self.pid)
    def jobs(self): return {pid: state for pid, (_, state, parent, _, _) in processes().items() if parent == self.pid}
    def stopped(self): until('every job is stopped', lambda: (jobs := self.jobs()) and set(jobs.values()) <= {'T'})
    def background(self, name):
        """Goes on in the background, where one of its processes wants the terminal, and all stop."""
        self.do('bg')
        until(f'{name} is stopped', lambda: any(comm == name and state == 'T' and session == self.pid for comm, state, _, _, session in processes().values()))
        # One that was continued before the others can have stopped them before they were: then they run. Now they stop too.
        self.do('kill -TTIN %1'); self.stopped(); self.do('')
    def killed(self):
        told = self.told
        self.do('kill -KILL %1'); until('there is no job', lambda: set(self.jobs().values()) <= {'Z'}); self.do('')
        self.told = told
    def gone(self): until('the shell is gone', lambda: os.waitpid(self.pid, os.WNOHANG)[0])
    def session(self): return [pid for pid, (_, _, _, _, session) in processes().items() if session == self.pid]

    def waits_for(self, number):
        """The processes of the session for which this signal waits."""
        def holds(pid):
            try: return any(int(line.split()[1], 16) >> number - 1 & 1 for line in open(f'/proc/{pid}/status') if line.startswith(('SigPnd', 'ShdPnd')))
            except OSError: return False
        return list(filter(holds, self.session()))

    def stop(self):
        """Until all of the job has stopped: what has not yet may still read what is typed next."""
        group = os.tcgetpgrp(self.terminal)
        self.type('\x1a'); self.expect('Stopped'); self.settled()
        until('all of it is stopped', lambda: all(state in 'TZ' or name == 'confined' for name, state, _, of, _ in processes().values() if of == group))
    # What is typed to end or stop something takes away what it has printed and nobody has read yet.
    def resume(self, name): self.line('fg'); self.expect(f'fg\r\n.*{name}.*\r\n'); self.foreground(name)
    def both(self, word): self.type(word + '\r'); self.expect(f'{word}\r\n{word}\r\n')

    def end(self):
        # It may take a job for stopped that was killed, and would not exit.
        os.kill(self.pid, signal.SIGKILL); self.gone()

def shown(text):
    text = text.replace(prefix + ' ', '').replace('$P ', '').replace('\x1b[?2004h', '').replace('\x1b[?2004l', '')
    # A shell that draws its line anew may clear what is behind it.
    text = re.sub('\x1b\\[K|\0', '', text)
    text = re.sub(r'(\[\d+\]) \d+', r'\1 PID', text)
    # Where between two prompts a shell tells of a job depends on when it looks.
    lines = [re.sub(r' +', ' ', line).rstrip() for line in text.replace('\r', '\n').split('\n')]
    # And whether it tells of one that was killed, or says once more what was typed, is its own matter.
    typed = {'', 'outer>'} | {line.removeprefix('outer> ') for line in lines if line.startswith('outer> ')}
    return '\n'.join(line for line in lines if line not in typed and '+ Killed ' not in line)

def background_of_a_stopped_command(shell):
    for name in ('sleep 1000', 'cat'):
        shell.line(f'$P {name}'); shell.foreground(name.split()[0]); shell.stop()
        shell.do('bg'); shell.at_prompt()
        if name == 'cat': shell.stopped(); shell.do('')
        shell.do('echo still here'); shell.at_prompt()
        shell.do('jobs')
        shell.killed()

def foreground_of_a_background_command(shell):
    shell.line('$P cat &'); shell.expect(r'\[1\] \d+'); shell.settled(); shell.stopped(); shell.at_prompt()
    shell.do(''); shell.do('jobs')
    for word in ('one', 'two'):
        shell.resume('cat'); shell.both(word); shell.stop()
    shell.resume('cat'); shell.both('three'); shell.type('\x04'); shell.settled(); shell.status()

def output_that_waits_for_the_terminal(shell):
    shell.do('stty tostop')
    shell.line('$P echo hello &'); shell.expect(r'\[1\] \d+'); shell.settled(); shell.stopped(); shell.do('')
    shell.line('fg'); shell.expect('hello'); shell.settled(); shell.status()
    shell.do('stty -tostop')

def there_and_back_twice(shell):
    shell.line('$P sleep 1000'); shell.foreground('sleep'); shell.stop()
    for _ in range(2):
        shell.do('bg'); shell.at_prompt(); shell.do('jobs')
        shell.resume('sleep'); shell.stop()
    shell.resume('sleep'); shell.type('\x03'); shell.settled(); shell.status()

def two_in_a_pipeline(shell):
    for line in ('$P cat | $P cat', 'cat | $P cat', '$P cat | cat'):
        shell.line(line); shell.foreground('cat'); shell.both('one'); shell.stop()
        shell.background('cat'); shell.at_prompt()
        shell.resume('cat'); shell.both('two'); shell.type('\x04'); shell.settled()
        shell.do('echo "status:${PIPESTATUS[*]}"')

def in_a_subshell(shell):
    shell.line('( $P cat; echo "after:$?" )'); shell.foreground('cat'); shell.both('one'); shell.stop()
    shell.resume('cat'); shell.both('two'); shell.stop(); shell.background('cat')
    shell.resume('cat'); shell.both('three'); shell.type('\x04'); shell.expect('after:0'); shell.settled()

def stopped_by_itself_or_by_somebody(shell):
    for signal in ('STOP', 'TSTP', 'TTIN', 'TTOU'):
        if signal in ('STOP', 'TSTP'):
            shell.line(f"$P sh -c 'kill -{signal} $$; echo on'"); shell.expect('Stopped'); shell.settled()
            shell.line('fg'); shell.expect(r'on\r'); shell.settled(); shell.status()
        shell.line('$P sleep 1000 &'); shell.expect(r'\[1\] \d+'); shell.settled()
        until('it sleeps', lambda: [1 for name, state, _, _, session in processes().values() if name == 'sleep' and state == 'S' and session == shell.pid])
        shell.do(f'kill -{signal} %1'); shell.stopped(); shell.do('')
        shell.do('kill -CONT %1'); until('it goes on', lambda: set(shell.jobs().values()) == {'S'}); shell.do('jobs')
        shell.resume('sleep'); shell.type('\x03'); shell.settled(); shell.status()

def signals_arrive_once(shell):
    # They are waited for and not handled: one that comes between two lines is not missed.
    open('count.py', 'w').write('''import signal
numbers = signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGWINCH, signal.SIGCONT, signal.SIGUSR1
seen, told = [], open("count.out", "w", buffering=1)
signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
print("ready", file=told)
while signal.SIGUSR1 not in seen:
    seen.append(number := signal.sigwait(numbers))
    print(signal.Signals(number).name, seen.count(number), file=told)
''')
    def told(text): until(f'{text} came', lambda: os.path.exists('count.out') and f'{text}\n' in open('count.out').read())
    shell.line('$P python3 count.py'); told('ready'); shell.foreground('python3')
    shell.type('\x03'); told('SIGINT 1'); shell.size(34, 102); told('SIGWINCH 1')
    shell.stop(); shell.do('bg'); told('SIGCONT 1')
    for name in ('TERM', 'HUP', 'INT'):
        shell.do(f'kill -{name} %1'); told(f'SIG{name} {2 if name == "INT" else 1}')
    # What waits for a process is there once, however often it was sent.
    until('what was sent to the job has arrived', lambda: not shell.waits_for(signal.SIGINT))
    # To one process alone, as supervisors do; in the job it is the first.
    shell.do('kill -INT $(jobs -p)'); told('SIGINT 3')
    shell.do('kill -CONT $(jobs -p)'); told('SIGCONT 2')
    shell.line('kill -USR1 $(jobs -p); wait'); told('SIGUSR1 1'); shell.settled()
    shell.told = open('count.out').read()

def a_shell_inside_is_suspended(shell):
    inner = 'PS1=$INNER $P bash --norc --noprofile -i'
    shell.line(inner); shell.expect('inner> ')
    for word in ('one', 'two'):
        shell.line('suspend'); shell.expect('Stopped'); shell.settled()
        shell.line('fg'); shell.expect('fg\r\n'); shell.expect('inner> '); shell.line(f'echo {word}'); shell.expect(rf'\r{word}\r\n'); shell.expect('inner> ')
    shell.line('sleep 1000'); shell.foreground('sleep'); shell.type('\x1a'); shell.expect('Stopped'); shell.expect('inner> ')
    shell.line('fg'); shell.expect('fg\r\n.*sleep.*\r\n'); shell.foreground('sleep'); shell.type('\x03'); shell.expect('inner> ')
    shell.line('exit 7'); shell.settled(); shell.status()

def a_shell_inside_asks_for_the_terminal(shell):
    shell.line('PS1=$INNER $P bash --norc --noprofile -i &'); shell.expect(r'\[1\] \d+'); shell.settled(); shell.stopped(); shell.do(''); shell.at_prompt()
    shell.line('fg'); shell.expect('fg\r\n'); shell.expect('inner> '); shell.line('echo one'); shell.expect(r'\rone\r\n'); shell.expect('inner> '); shell.line('exit 7'); shell.settled(); shell.status()

def pager_and_editor(shell):
    shell.line('seq 1000 | $P less'); shell.foreground('less'); shell.expect('\r\n30')
    # What is drawn anew is the other end.
    for key, drawn in ('G', '1000'), ('g', '\r\n30'), ('G', '1000'):
        shell.stop(); shell.line('fg'); shell.foreground('less'); shell.type(key); shell.expect(drawn)
    shell.type('q'); shell.settled(); shell.told = 'the pager went\n'
    if os.path.exists('/usr/bin/vim.basic'):
        shell.line('$P vim.basic -u NONE -n written &'); shell.expect(r'\[1\] \d+'); shell.settled(); shell.stopped(); shell.do('')
        shell.line('fg'); shell.foreground('vim.basic'); shell.expect('written'); shell.type('ihello\x1b:w\r'); shell.expect('written')
        shell.stop(); shell.do('echo between'); shell.line('fg'); shell.foreground('vim.basic'); shell.type('A again\x1b:wq\r'); shell.settled()
        shell.told = ''; shell.do('cat written; rm written; stty -a | grep -c " icanon"')

def terminal_modes(shell):
    shell.do('before=$(stty -g)')
    for signal in ('KILL', 'TERM', 'STOP'):
        shell.line(f"$P sh -c 'stty raw -echo; kill -{signal} $$'"); shell.expect('Killed|Terminated|Stopped'); shell.settled(); shell.status()
        shell.do('[ "$before" = "$(stty -g)" ]; echo "same:$?"')
    shell.killed()
    shell.line("$P sh -c 'stty size'"); shell.expect('33 101'); shell.settled()

def streams_that_are_no_terminal(shell):
    shell.line('$P cat > copy'); shell.foreground('cat'); shell.type('one\r'); until('it is copied', lambda: open('copy').read() == 'one\n'); shell.expect('one\r\n'); shell.stop(); shell.resume('cat'); shell.type('two\r\x04'); shell.settled()
    shell.do('cat copy'); shell.do('$P cat < copy | tr a-z A-Z'); shell.do('$P sh -c "test -t 0; echo \\$?; test -t 1; echo \\$?" | cat')
    # A session without a terminal, and a parent without job control.
    shell.do('setsid -w $P cat copy; echo "status:$?"'); shell.do("sh -c '$P cat copy; $P sh -c \"exit 3\"; echo $?'")
    shell.line("sh -c '$P cat; echo \"after:$?\"'"); shell.foreground('cat'); shell.both('one'); shell.stop(); shell.resume('cat'); shell.both('two'); shell.type('\x04'); shell.expect('after:0'); shell.settled()

def nothing_is_left(shell):
    until('nothing of the session is left', lambda: not shell.session())

def the_shell_exits_with_stopped_jobs(shell):
    shell.line('$P sleep 1000'); shell.foreground('sleep'); shell.stop()
    shell.do('exit'); shell.line('exit'); shell.expect('exit')
    shell.gone(); nothing_is_left(shell)

def the_terminal_is_closed(shell):
    shell.line('$P sleep 1000 &'); shell.expect(r'\[1\] \d+'); shell.settled()
    shell.line('$P cat'); shell.foreground('cat'); shell.both('one')
    os.close(shell.terminal); shell.gone(); nothing_is_left(shell)

def the_terminal_is_closed_on_a_stopped_job(shell):
    shell.line('$P cat'); shell.foreground('cat'); shell.stop()
    os.close(shell.terminal); shell.gone(); nothing_is_left(shell)

LAST = the_shell_exits_with_stopped_jobs, the_terminal_is_closed, the_terminal_is_closed_on_a_stopped_job
SCENES = (background_of_a_stopped_command, foreground_of_a_background_command, output_that_waits_for_the_terminal, there_and_back_twice,
              two_in_a_pipeline, in_a_subshell, stopped_by_itself_or_by_somebody, signals_arrive_once, a_shell_inside_is_suspended,
              a_shell_inside_asks_for_the_terminal, pager_and_editor, terminal_modes, streams_that_are_no_terminal, *LAST)
for scene in SCENES:
    shell = Shell()
    scene(shell)
    if scene not in LAST: shell.end()
    print(f'== {scene.__name__}\n{shown(shell.told)}', flush=True)
