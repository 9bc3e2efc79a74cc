"""embed.py NAME IN OUT: writes a JSON file, without its white space, as a C array of bytes NAME and its length NAME_bytes. Run by meson."""
import json
import sys

name, source, target = sys.argv[1:]
with open(source, encoding="utf-8") as file:
    data = json.dumps(json.load(file), ensure_ascii=False, separators=(",", ":")).encode()
rows = [", ".join(str(byte) for byte in data[at : at + 24]) for at in range(0, len(data), 24)]
with open(target, "w", encoding="utf-8") as file:
    file.write('#include "serve/openapi.h"\n\nconst unsigned char %s[] = {\n    ' % name)
    file.write(",\n    ".join(rows))
    file.write("};\nconst size_t %s_bytes = sizeof %s;\n" % (name, name))
