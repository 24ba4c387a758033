"""The kind of file system that a directory lies on, and the kinds on which no spool is opened unless it is asked for.

Only Linux tells the kind; elsewhere nothing is refused.
"""

import os

# Kinds that bring a network, or another machine, between a lock and who asks for it. None of them was verified.
NETWORK = {
    "nfs": "NFS",
    "nfs4": "NFS",
    "cifs": "SMB",
    "smb3": "SMB",
    "smbfs": "SMB",
    "9p": "9P",
    "virtiofs": "virtiofs",
    "vboxsf": "a shared folder of VirtualBox",
    "prl_fs": "a shared folder of Parallels",
    "fuse.vmhgfs-fuse": "a shared folder of VMware",
    "fuse.grpcfuse": "a shared folder of Docker Desktop",
    "fuse.osxfs": "a shared folder of Docker Desktop",
    "fuse.sshfs": "sshfs",
    "afs": "AFS",
    "ceph": "CephFS",
    "fuse.ceph": "CephFS",
    "fuse.ceph-fuse": "CephFS",
    "glusterfs": "GlusterFS",
    "fuse.glusterfs": "GlusterFS",
    "lustre": "Lustre",
    "beegfs": "BeeGFS",
    "gpfs": "GPFS",
    "gfs2": "GFS2",
    "ocfs2": "OCFS2",
    "orangefs": "OrangeFS",
    "davfs": "WebDAV",
    "fuse.davfs": "WebDAV",
    "fuse.rclone": "rclone",
    "fuse.s3fs": "s3fs",
    "fuse.mountpoint-s3": "Mountpoint for S3",
    "fuse.gcsfuse": "gcsfuse",
    "fuse.blobfuse2": "BlobFuse",
    "fuse.juicefs": "JuiceFS",
    "fuse.JuiceFS": "JuiceFS",
}


def kind_of(path: str) -> str:
    """The kind of file system that a path lies on, as in /proc/mounts; "" if it cannot be told."""
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (OSError, AttributeError):
        return ""
    try:
        return kind_at(fd)
    finally:
        os.close(fd)


def kind_at(fd: int, process: str = "/proc/self") -> str:
    """The same for an open directory: by its mount, so that nothing mounted over or beside it is taken for it."""
    try:
        with open(f"{process}/fdinfo/{fd}", "rb") as told:
            mount = next(line.split()[1] for line in told if line.startswith(b"mnt_id:"))
        with open(f"{process}/mountinfo", "rb") as mounts:
            found = next(line for line in mounts if line.split(maxsplit=1)[0] == mount)
        return found.partition(b" - ")[2].split()[0].decode(errors="replace")
    except (OSError, StopIteration, IndexError):
        return ""


def refusal(kind: str) -> str | None:
    """Why a spool on such a file system is not opened: the end of a sentence about it. None if it may be."""
    name = NETWORK.get(kind)
    if name is None:
        return None
    return (
        f"lies on a network file system ({name}), where a lock may outlive its worker, or not be seen by another: "
        "move it to a local disk, or accept that with DirectorySpool(path, network=True)"
    )
