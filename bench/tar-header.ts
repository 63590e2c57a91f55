/** The 512 bytes before a file in a tar archive (POSIX ustar). */
export function tarHeader(name: string, size: number): Buffer {
  const header = Buffer.alloc(512);
  header.write(name, 0);
  header.write("0000644\0" + "0000000\0" + "0000000\0", 100);
  header.write(`${size.toString(8).padStart(11, "0")}\0${"0".padStart(11, "0")}\0`, 124);
  header.write(" ".repeat(8) + "0", 148);
  header.write("ustar\0" + "00", 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return header;
}

/** What follows a file of `size` bytes that is the last one of an archive. */
export function tarEnd(size: number): Buffer {
  return Buffer.alloc(((512 - (size % 512)) % 512) + 1024);
}
