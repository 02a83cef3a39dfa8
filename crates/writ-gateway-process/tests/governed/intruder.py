"""Tries each way out of a governed tree, one process each, and says of each what came of it.

Arguments: the hidden folder, a process outside, an abstract socket outside, a socket in a folder that is kept, a file handle of the secret.
"""
import ctypes, os, signal, socket, struct, subprocess, sys

hidden, outside, abstract, kept, handle = sys.argv[1:]
outside = int(outside)
secret = hidden + '/secret'
libc = ctypes.CDLL(None, use_errno=True)
watcher = os.getppid()
gateway = int(open(f'/proc/{watcher}/stat').read().rsplit(')', 1)[1].split()[1])

def call(result):
    if result < 0: raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result

def read(path):
    with open(path, 'rb') as file:
        if b'secret' not in file.read(): raise OSError(0, 'empty')

NEWNS, NEWUSER, NEWPID, NEWNET, BIND, REC, DETACH = 0x20000, 0x10000000, 0x20000000, 0x40000000, 4096, 16384, 2
def own(flags=0):
    uid, gid = os.geteuid(), os.getegid()
    call(libc.unshare(NEWUSER | NEWNS | flags))
    open('/proc/self/setgroups', 'w').write('deny')
    open('/proc/self/uid_map', 'w').write(f'{uid} {uid} 1')
    open('/proc/self/gid_map', 'w').write(f'{gid} {gid} 1')
def umount(): call(libc.umount2(hidden.encode(), DETACH)); read(secret)
def bind(flags): os.makedirs('bound', exist_ok=True); call(libc.mount(os.path.dirname(hidden).encode(), b'bound', None, BIND | flags, None)); read('bound/hidden/secret'); libc.umount2(b'bound', DETACH)
def nested(then, flags=0):
    def attempt(): own(flags); then()
    return attempt
def chroot():
    os.makedirs('inner', exist_ok=True); os.chroot('inner'); os.chdir('../' * 20); os.chroot('.'); read(secret)
def enter(pid, kind, flag):
    def attempt(): call(libc.setns(os.open(f'/proc/{pid}/ns/{kind}', os.O_RDONLY), flag)); read(secret)
    return attempt
def by_handle():
    raw = bytes.fromhex(handle)
    buffer = ctypes.create_string_buffer(raw, len(raw))
    folder = os.open('/', os.O_RDONLY)
    fd = call(libc.open_by_handle_at(folder, buffer, os.O_RDONLY))
    read(f'/proc/self/fd/{fd}')
def attach(pid, request): return lambda: call(libc.ptrace(request, pid, 0, 0))
def take_descriptor(pid):
    def attempt(): fd = call(libc.syscall(438, os.pidfd_open(pid), 0, 0))
    return attempt
def connect(name, kind=socket.SOCK_STREAM):
    return lambda: socket.socket(socket.AF_UNIX, kind).connect(name)
def append(path): return lambda: open(path, 'a').close()
def fresh(kind, path):
    def attempt():
        own(NEWPID | NEWNET)
        if os.fork() == 0:
            os.makedirs('fresh', exist_ok=True)
            if libc.mount(b'x', b'fresh', kind, 0, None) == 0: open(path, 'a').close(); os._exit(0)
            os._exit(1)
        if os.wait()[1] != 0: raise PermissionError('refused')
    return attempt
def input_to_terminal():
    import fcntl, pty, termios
    leader, follower = pty.openpty()
    os.setsid(); fcntl.ioctl(follower, termios.TIOCSCTTY, 0)
    fcntl.ioctl(follower, termios.TIOCSTI, b'x')
def control_group():
    for at in ('/sys/fs/cgroup/freezer/intruder', '/sys/fs/cgroup/intruder', '/sys/fs/cgroup/unified/intruder'):
        try: os.mkdir(at); os.rmdir(at); return
        except FileNotFoundError: pass
    raise PermissionError('refused')

attempts = {
    'read': lambda: read(secret),
    'umount': umount, 'bind': lambda: bind(0), 'bind-all': lambda: bind(REC),
    'nested-umount': nested(umount), 'nested-bind': nested(lambda: bind(0)), 'nested-bind-all': nested(lambda: bind(REC)),
    'chroot': chroot, 'handle': by_handle, 'nested-chroot': nested(chroot),
    'input-to-terminal': input_to_terminal, 'control-group': control_group,
    'core-pattern': append('/proc/sys/kernel/core_pattern'), 'sysrq': append('/proc/sysrq-trigger'),
    'fresh-proc': fresh(b'proc', 'fresh/sys/kernel/core_pattern'), 'fresh-sys': fresh(b'sysfs', 'fresh/kernel/uevent_helper'),
    'abstract': connect('\0' + abstract),
}
for name, pid in {'outside': outside, 'init': 1, 'gateway': gateway, 'watcher': watcher}.items():
    attempts |= {
        f'{name}-root': lambda pid=pid: read(f'/proc/{pid}/root{secret}'),
        f'{name}-cwd': lambda pid=pid: os.stat(f'/proc/{pid}/cwd/.'),
        f'{name}-stream': lambda pid=pid: os.stat(f'/proc/{pid}/fd/0'),
        f'{name}-memory': lambda pid=pid: open(f'/proc/{pid}/mem', 'rb').close(),
        f'{name}-variables': lambda pid=pid: open(f'/proc/{pid}/environ', 'rb').read(),
        f'{name}-mounts': enter(pid, 'mnt', NEWNS), f'{name}-users': enter(pid, 'user', NEWUSER),
        f'{name}-attach': attach(pid, 16), f'{name}-seize': attach(pid, 0x4206), f'{name}-descriptor': take_descriptor(pid),
        f'{name}-signal-0': lambda pid=pid: os.kill(pid, 0), f'{name}-continue': lambda pid=pid: os.kill(pid, signal.SIGCONT),
    }
    if 'HARM' in os.environ and name != 'init':
        attempts |= {f'{name}-stop': lambda pid=pid: os.kill(pid, signal.SIGSTOP), f'{name}-kill': lambda pid=pid: os.kill(pid, signal.SIGKILL)}

def own_tree():
    """What must go on working: signals, debugging and abstract sockets among its own, and the folder that is kept."""
    child = os.fork()
    if child == 0:
        while True: signal.pause()
    call(libc.ptrace(16, child, 0, 0)); os.waitpid(child, 0x40000000); call(libc.ptrace(17, child, 0, 0))
    os.kill(child, signal.SIGKILL); os.waitpid(child, 0)
    listening = socket.socket(socket.AF_UNIX); listening.bind('\0inner' + str(os.getpid())); listening.listen()
    socket.socket(socket.AF_UNIX).connect(listening.getsockname())
    socket.socket(socket.AF_UNIX).connect(kept)
    assert os.listdir(os.path.dirname(kept) + '/..') == ['run'] or 'HARM' not in os.environ

for name, attempt in attempts.items():
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        os.close(2)
        try: attempt()
        except Exception: os._exit(1)
        os._exit(0)
    print(name, 'reached' if os.waitpid(child, 0)[1] == 0 else 'refused')
own_tree()
print('own-tree reached')
