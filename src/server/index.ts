export { sign, signatureText, verify, type SignatureHash, type SignedRequest } from "./auth/signature.ts";
