/** The folder of this package, where package.json is: what is built lies as deep below it as this file. */
export const packageFolder = new URL("../../", import.meta.url);
