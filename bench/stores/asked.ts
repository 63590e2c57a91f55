/** Makes a request that has to succeed. */
export async function asked(url: string, request: RequestInit): Promise<Response> {
  const response = await fetch(url, request);
  if (response.ok) return response;
  throw new Error(`${request.method ?? "GET"} ${url}: ${response.status} ${await response.text()}`);
}
