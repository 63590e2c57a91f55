declare module "apache-md5" {
  /** `password` as bytes, one a character; `salt` is a whole hash of `$apr1$` or `$1$`. */
  export default function md5Crypt(password: string, salt: string): string;
}

declare module "unix-crypt-td-js" {
  export default function desCrypt(password: string | readonly number[], salt: string): string;
}
