import { describe, expect, it } from 'vitest';
import { isSecretName, splitEnv } from './secrets.ts';

describe('isSecretName', () => {
  it('masks what usually holds a secret', () => {
    expect(
      ['POSTGRES_PASSWORD', 'API_KEY', 'apikey', 'GH_TOKEN', 'AWS_SECRET_ACCESS_KEY'].every(
        isSecretName,
      ),
    ).toBe(true);
  });

  it('leaves ordinary variables and paths to secrets readable', () => {
    expect(['PATH', 'HOME', 'PGDATA', 'POSTGRES_PASSWORD_FILE', 'AUTHOR'].some(isSecretName)).toBe(
      false,
    );
  });
});

describe('splitEnv', () => {
  it('splits at the first equals sign', () => {
    expect(splitEnv('A=b=c')).toEqual({ name: 'A', value: 'b=c' });
    expect(splitEnv('A')).toEqual({ name: 'A', value: '' });
  });
});
