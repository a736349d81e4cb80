"""What goes over the socket of a process that resizes: REQUEST and the body there, ANSWER and a JPEG back."""

from __future__ import annotations

import struct

#: photo_id, length of the body.
REQUEST = struct.Struct(">qI")

#: Kind of the answer, width and height in pixels, SHA-256, length of what follows.
ANSWER = struct.Struct(">BII32sI")

#: The photo stays as it came; nothing follows.
KEPT = 0
#: The JPEG follows.
SHRUNK = 1
#: Why it cannot be decoded follows, in UTF-8.
UNDECODABLE = 2
