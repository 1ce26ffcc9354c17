package subject

import (
	"context"

	"github.com/Jeffail/tunny"
)

func tunnyPool() []Subject {
	return []Subject{{
		Name: "tunny", Module: "github.com/Jeffail/tunny",
		Use:   "NewFunc and Process, whose payload and result are any",
		Lacks: NoError | NoTiming | NoCancel | NoPanic,
		Do: func(o Options, fn Func) (Func, func()) {
			p := tunny.NewFunc(o.Workers, func(payload any) any {
				u, err := fn(context.Background(), payload.(int))
				if err != nil {
					return err
				}
				return u
			})
			do := func(_ context.Context, v int) (int, error) {
				switch u := p.Process(v).(type) {
				case int:
					return u, nil
				case error:
					return 0, u
				default:
					return 0, errUnknown
				}
			}
			return do, p.Close
		},
	}}
}
