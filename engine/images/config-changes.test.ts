import { describe, expect, it } from 'vitest';
import { applyConfigChanges } from './config-changes.ts';

describe('applyConfigChanges', () => {
  it('applies every instruction that commit allows', () => {
    const config = applyConfigChanges({ Env: ['PATH=/bin'], Labels: { old: '1' } }, [
      'CMD echo hello',
      'ENTRYPOINT ["/init", "-x"]',
      'ENV A=1 B="two words" C=$PATH:/opt D=${NONE:-none}',
      'ENV OLD style value',
      'EXPOSE 80 53/udp 7000-7002',
      'LABEL new=2 "a b"=c',
      'USER nobody',
      'WORKDIR /srv',
      'WORKDIR data',
      'VOLUME ["/v1", "/v2"]',
      'VOLUME /v3 /v4',
      'STOPSIGNAL SIGQUIT',
      'ONBUILD RUN make',
      'HEALTHCHECK --interval=5s --retries=2 CMD curl -f localhost',
    ]);
    expect(config).toEqual({
      Cmd: ['/bin/sh', '-c', 'echo hello'],
      Entrypoint: ['/init', '-x'],
      Env: ['PATH=/bin', 'A=1', 'B=two words', 'C=/bin:/opt', 'D=none', 'OLD=style value'],
      ExposedPorts: { '80/tcp': {}, '53/udp': {}, '7000/tcp': {}, '7001/tcp': {}, '7002/tcp': {} },
      Labels: { old: '1', new: '2', 'a b': 'c' },
      User: 'nobody',
      WorkingDir: '/srv/data',
      Volumes: { '/v1': {}, '/v2': {}, '/v3': {}, '/v4': {} },
      StopSignal: 'SIGQUIT',
      OnBuild: ['RUN make'],
      Healthcheck: { Test: ['CMD-SHELL', 'curl -f localhost'], Interval: 5e9, Retries: 2 },
    });
  });

  it('drops the command of the image with a new entrypoint alone', () => {
    expect(applyConfigChanges({ Cmd: ['sh'] }, ['ENTRYPOINT ["/x"]']).Cmd).toBeUndefined();
  });

  it('replaces variables of the same name in place', () => {
    expect(applyConfigChanges({ Env: ['A=1', 'B=2'] }, ['ENV A=3']).Env).toEqual(['A=3', 'B=2']);
  });

  it('joins continued lines and skips comments', () => {
    const config = applyConfigChanges({}, ['# note\nENV A=1 \\\n  B=2\n\nUSER me']);
    expect(config).toEqual({ Env: ['A=1', 'B=2'], User: 'me' });
  });

  it('keeps single quotes literal and honours escapes', () => {
    const config = applyConfigChanges({ Env: ['X=1'] }, [
      String.raw`ENV A='$X' B=\$X C="a\"b" D=a\ b`,
    ]);
    expect(config.Env).toEqual(['X=1', 'A=$X', 'B=$X', 'C=a"b', 'D=a b']);
  });

  it('takes HEALTHCHECK NONE', () => {
    expect(applyConfigChanges({}, ['HEALTHCHECK NONE']).Healthcheck).toEqual({ Test: ['NONE'] });
  });

  it.each([
    ['RUN true', 'RUN is not a valid change command'],
    ['FROM scratch', 'FROM is not a valid change command'],
    ['constructor x', 'constructor is not a valid change command'],
    ['ENV', 'ENV requires at least one argument'],
    ['ENV A', 'ENV must have two arguments'],
    ['ENV A=1 B', "can't find = in"],
    ['ENV A="x', 'unexpected end of statement'],
    ['EXPOSE 80/icmp', 'invalid proto: icmp'],
    ['EXPOSE 99999', 'invalid containerPort: 99999'],
    ['EXPOSE web', 'invalid containerPort: web'],
    ['CMD [1]', 'arrays must be comprised of strings only'],
    ['ONBUILD ONBUILD RUN x', 'Chaining ONBUILD'],
    ['ONBUILD FROM x', "FROM isn't allowed as an ONBUILD trigger"],
    ['HEALTHCHECK TEST x', 'Unknown type "TEST" in HEALTHCHECK'],
    ['HEALTHCHECK --interval=1us CMD x', 'cannot be less than 1ms'],
    ['HEALTHCHECK CMD', 'Missing command after HEALTHCHECK CMD'],
    ['STOPSIGNAL $', 'invalid signal'],
    ['VOLUME [""]', 'VOLUME specified can not be an empty string'],
  ])('refuses %s', (change, message) => {
    expect(() => applyConfigChanges({}, [change])).toThrow(message);
  });
});
