import { config, z } from 'zod';

// The page's content security policy forbids eval, which zod would try for its compiled parsers.
// This must run before any schema is built, hence a module of its own.
if ('document' in globalThis) {
  config({ jitless: true });
}

export { z };
